"""Stand-ins for AWS's client for Node.js: the same two ways to be told the handler, without native code."""

from __future__ import annotations

import json
from pathlib import Path

from support.emulator_options import write_files

_LOOP = """\
import { request } from "node:http";
import { readdirSync } from "node:fs";
import { pathToFileURL } from "node:url";
import path from "node:path";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const call = (method, where, body) => new Promise((resolve, reject) => {
  const asked = request({ host, port, method, path: `/2018-06-01/runtime/invocation/${where}` }, (answer) => {
    let text = "";
    answer.on("data", (part) => { text += part; }).on("end", () => resolve([answer.headers, text]));
  });
  asked.on("error", reject).end(body);
});
const [file, name] = handler.split(".");
const whole = path.resolve(root, file);
const [folder, stem] = [path.dirname(whole), path.basename(whole)];
const found = readdirSync(folder).find((entry) => entry.replace(/\\.[cm]?js$/, "") === stem);
const module = await import(pathToFileURL(path.join(folder, found)).href);
for (;;) {
  const [headers, event] = await call("GET", "next");
  const id = headers["lambda-runtime-aws-request-id"];
  await call("POST", `${id}/response`, JSON.stringify(await module[name](JSON.parse(event))));
}
"""
_HANDLER_AS_ARGUMENT = "const [root, handler] = [process.cwd(), process.argv[2]];\n"
_HANDLER_AS_VARIABLE = "const [root, handler] = [process.env.LAMBDA_TASK_ROOT, process.env._HANDLER];\n"


def fake_client(node_modules: Path, version: str = "4.0.0", *, native: bool = True) -> Path:
    """An `aws-lambda-ric` in `node_modules` as npm leaves it: before version 4 with a program in `bin/`."""
    is_old = int(version.partition(".")[0]) < 4
    entry = "bin/index.mjs" if is_old else "./index.mjs"
    manifest = {"name": "aws-lambda-ric", "version": version, "type": "module", "bin": {"aws-lambda-ric": entry}}
    source = (_HANDLER_AS_ARGUMENT if is_old else _HANDLER_AS_VARIABLE) + _LOOP
    files = {"package.json": json.dumps(manifest), entry: source}
    return write_files(node_modules / "aws-lambda-ric", files | ({"dist/rapid-client.node": ""} if native else {}))
