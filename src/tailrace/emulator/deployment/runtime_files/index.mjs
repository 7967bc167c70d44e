// Starts AWS's client for Node.js as the service's own start program does: a script of its own, without arguments,
// so that a wrapper (AWS_LAMBDA_EXEC_WRAPPER) finds it last and may change _HANDLER before it is read.
// Clients before version 4 take the handler as an argument, later ones from the variable.
import { pathToFileURL } from "node:url";

const client = process.env._TAILRACE_NODE_CLIENT;
delete process.env._TAILRACE_NODE_CLIENT;
process.argv[1] = client;
process.argv[2] = process.env._HANDLER;
await import(pathToFileURL(client).href);
