export * from "./tickcast_pb.ts";
