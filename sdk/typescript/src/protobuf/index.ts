export { PROTOBUF_CODEC } from "./codec.ts";
export * from "./tickcast_pb.ts";
