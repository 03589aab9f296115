// SPDX-License-Identifier: GPL-2.0-or-later
/** colinux port add|ls|rm: ports of this machine that lead into a guest. */
import { Command, verb } from "#args";
import { FORWARD_EXAMPLE, parseForward, showForward } from "../config/forward.ts";
import type { Host } from "../host/host.ts";
import type { RpcClient } from "../rpc/client.ts";
import type { Forward, Vm } from "../rpc/proto.ts";
import { type Context, run } from "../ui/context.ts";
import { CliError, EXIT } from "../ui/errors.ts";

const SPEC = `
A forward is [ADDRESS:]PORT:GUESTPORT[/udp]. ADDRESS is one of this machine's,
in numbers, an IPv6 one in brackets; left out, it is 127.0.0.1: only this
machine can connect. The guest sees the client's own address; a client on this
machine's loopback appears as the network's gateway.`;

export function portCommand() {
  return new Command("port")
    .summary("Lead ports of this machine into a guest")
    .description("Lead ports of this machine into a guest (add, ls, rm)")
    .helpOption("-h, --help", "show this page")
    .helpCommand(false)
    .addCommand(add())
    .addCommand(ls())
    .addCommand(rm());
}

function add() {
  return verb("add", "Open a port of this machine for a guest that runs", {
    description: `${SPEC}

It lasts until the guest ends, or, where the module runs on this machine's own
kernel, reboots; "forwards" in a definition are for good. Ports below 1024 can
only be forwarded by a definition, where the administrator's
/etc/colinux/ports.conf allows it.`,
    examples: [
      ["colinux port add mailserver 2525:25", "localhost:2525 is the guest's port 25"],
      ["colinux port add mailserver 0.0.0.0:8080:80", "for everybody who reaches this machine"],
      ["colinux port add '[::1]:5353:53/udp'", "IPv6 and UDP, to the only VM"],
    ],
    exit: [[75, "the port is in use"], [77, "the port is below 1024"]],
    see: ["port ls", "port rm"],
  })
    .argument("[name]", "the VM; may be left out when there is only one")
    .argument("[forward]", `for example ${FORWARD_EXAMPLE}`)
    .action((name, forward, options) =>
      run(options, async (context) => {
        const [vmName, wanted] = operands(name, forward);
        await withVm(context, vmName, async ({ vm, client, host }) => {
          await host.addForward(client, vm.name, wanted);
          const text = `${vm.name}: ${showForward(wanted)} is open.\n`;
          context.out.result({ name: vm.name, forward: wanted }, text, true);
        });
      })
    );
}

function rm() {
  return verb("rm", "Close a port again", {
    description: `${SPEC}

Connections that stand go on.`,
    examples: [["colinux port rm mailserver 2525:25", "as it was added, or defined"]],
    exit: [[66, "it is not forwarded"]],
    see: ["port ls", "port add"],
  })
    .argument("[name]", "the VM; may be left out when there is only one")
    .argument("[forward]", `for example ${FORWARD_EXAMPLE}`)
    .action((name, forward, options) =>
      run(options, async (context) => {
        const [vmName, wanted] = operands(name, forward);
        await withVm(context, vmName, async ({ vm, client, host }) => {
          await host.removeForward(client, vm.name, wanted);
          const text = `${vm.name}: ${showForward(wanted)} is closed.\n`;
          context.out.result({ name: vm.name, forward: wanted }, text, true);
        });
      })
    );
}

function ls() {
  return verb("ls", "List the ports that lead into a guest", {
    description: `
One forward a line, as "colinux port rm" takes it. With --json:
{"name","forwards":[{"protocol","hostAddress","hostPort","guestPort"}]}.`,
    examples: [["colinux port ls mailserver", "those of the definition, and those added since"]],
    see: ["port add", "port rm"],
  })
    .alias("list")
    .argument("[name]", "the VM; may be left out when there is only one")
    .action((name, options) =>
      run(options, async (context) => {
        await withVm(context, name, async ({ vm, client, host }) => {
          const forwards = await host.listForwards(client, vm.name);
          const text = forwards.map((forward) => `${showForward(forward)}\n`).join("");
          context.out.result({ name: vm.name, forwards }, text);
        });
      })
    );
}

interface Live {
  vm: Vm;
  client: RpcClient;
  host: Host;
}

async function withVm(
  context: Context,
  name: string | undefined,
  body: (live: Live) => Promise<void>,
): Promise<void> {
  const { withClient } = await import("../rpc/session.ts");
  const { allVms, pickLive } = await import("../vm/list.ts");
  await withClient(context, async (open, host) => {
    await body({ ...pickLive(await allVms(context, open), open, name), host });
  });
}

/** A single word is the forward. */
function operands(
  first: string | undefined,
  second: string | undefined,
): [name: string | undefined, forward: Forward] {
  const [name, text] = second === undefined ? [undefined, first] : [first, second];
  const parsed = text === undefined ? { problem: "which port?" } : parseForward(text);
  if ("forward" in parsed) return [name, parsed.forward];
  throw new CliError(parsed.problem, {
    name: "USAGE",
    hint: `write [NAME] [ADDRESS:]PORT:GUESTPORT[/udp], for example ${FORWARD_EXAMPLE}`,
    exit: EXIT.usage,
  });
}
