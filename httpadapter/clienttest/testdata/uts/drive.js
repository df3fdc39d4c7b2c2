// Drives the vendor's client of the usage transparency API for the tests in Go.
//
// Usage: node drive.js GATEWAY
//
// Reads one call a line from standard input, {"token", "method", "args"}, and
// answers each with one line: {"result"} or {"error"}. It ends with its input.
"use strict";

const readline = require("readline");
const { MindConnectBase, MindSphereSdk } = require("@mindconnect/mindconnect-nodejs");

const gateway = process.argv[2];

// A caller whose token is given: the client's own ways to a token ask a token
// service that is not part of this API.
class StaticToken extends MindConnectBase {
  constructor(token) {
    super();
    this.token = token;
  }
  GetGateway() {
    return gateway;
  }
  GetTenant() {
    return "";
  }
  async GetToken() {
    return this.token;
  }
  async RenewToken() {
    return true;
  }
}

async function call({ token, method, args }) {
  const client = new MindSphereSdk(new StaticToken(token)).GetUsageTransparencyClient();
  switch (method) {
    case "GetUsagesJobs": // the one parameter that the client wants as a Date
      if (args.length > 0 && args[0].date !== undefined) {
        args[0].date = new Date(args[0].date);
      }
      break;
    case "HttpAction": // what every method of the client calls, for routes without a method
      Object.assign(args[0], { gateway: client.GetGateway(), authorization: await client.GetToken() });
      break;
  }
  return client[method](...args);
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    let answer;
    try {
      answer = { result: await call(JSON.parse(line)) };
    } catch (err) {
      answer = { error: String(err.message) };
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
})();
