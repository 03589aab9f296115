// SPDX-License-Identifier: GPL-2.0-or-later
/** colinux rpc: one call of the helper's JSON-RPC, as it is. */
import { verb } from "#args";
import { run } from "../ui/context.ts";
import { CliError, EXIT } from "../ui/errors.ts";

export function rpcCommand() {
  return verb("rpc", "Call the helper's JSON-RPC", {
    description: `
METHOD and its parameters as helperd/proto/methods.json has them; the result is
printed as one line of JSON. --follow prints events, one object a line, until the
helper ends or ^C.`,
    examples: [
      ["colinux rpc host.info", "what the kext says of this CPU"],
      [`colinux rpc vm.get '{"name":"minimal"}'`, "state and counters"],
      [`colinux rpc events.subscribe '{"console":true}' --follow`, "what happens"],
    ],
    see: ["doctor", "status"],
  })
    .argument("<method>", "for example vm.list")
    .argument("[json]", "its parameters", "{}")
    .option("--follow", "print events after the result")
    .action((method, json, options) =>
      run(options, async (context) => {
        const params = parse(json);
        const { chooseHost } = await import("../host/choose.ts");
        const { openClient } = await import("../rpc/session.ts");
        const { EVENT_NAMES } = await import("../rpc/proto.ts");
        const { aborted } = await import("../ui/context.ts");
        using client = await openClient(context, await chooseHost(context));
        const print = (value: unknown) => context.out.text(JSON.stringify(value) + "\n");
        if (options.follow) {
          for (const name of EVENT_NAMES) {
            client.on(name, (event) => print({ method: name, params: event }));
          }
        }
        // hello was said already, and is answered once a connection.
        const result = method === "hello"
          ? client.hello
          : await client.request(method, params, { signal: context.signal, timeoutMs: Infinity });
        print(result);
        if (!options.follow) return;
        const abort = aborted(context.signal);
        const reason = await Promise.race([client.closed, abort.promise]);
        if (reason !== undefined) throw reason;
      })
    );
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new CliError(`the parameters are not JSON: ${(error as Error).message}`, {
      name: "USAGE",
      hint: `write an object such as '{"name":"minimal"}'`,
      exit: EXIT.usage,
    });
  }
}
