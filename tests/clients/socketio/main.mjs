// socket.io-client as it comes from npm: commands in as JSON lines, what it is told out as JSON lines.
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const [url, transports] = process.argv.slice(2);
const tell = (event, body) => process.stdout.write(`${JSON.stringify({ event, body })}\n`);
let session = null; // what a node told, for the next one
const options = { transports: transports.split(","), reconnectionDelay: 50, reconnectionDelayMax: 200 };
const socket = io(url, { ...options, auth: (send) => send({ session }) });

socket.on("connect", () => tell("connect", socket.io.engine.transport.name));
socket.on("session", (told) => (session = told.session));
socket.on("disconnect", (reason) => tell("disconnect", reason));
socket.on("connect_error", (error) => tell("connect_error", { message: error.message, data: error.data ?? null }));
socket.onAny((event, body) => tell(event, body));

createInterface({ input: process.stdin }).on("line", (line) => {
  const { emit, body } = JSON.parse(line);
  if (emit === "upgraded") tell("transport", socket.io.engine.transport.name);
  else socket.emit(emit, body, (reply) => tell("ack", reply));
}).on("close", () => socket.disconnect());
