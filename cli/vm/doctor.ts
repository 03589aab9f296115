// SPDX-License-Identifier: GPL-2.0-or-later
/** The checks of `doctor`: this machine's, then those of the helper when a host runs. */
import { chooseHost, saw, whyNotNative } from "../host/choose.ts";
import type { HostStatus } from "../host/host.ts";
import type { Check, Result } from "../rpc/proto.ts";
import { isHostDown } from "../host/host.ts";
import { openClient } from "../rpc/session.ts";
import type { Context } from "../ui/context.ts";
import { makeDirs } from "../ui/dirs.ts";

export interface Report {
  /** Some host can run VMs. */
  ok: boolean;
  checks: Check[];
  host: HostStatus;
  info?: Result<"host.info">;
}

export async function examine(context: Context): Promise<Report> {
  const checks: Check[] = [];
  const add = (name: string, ok: boolean, detail: string, hint?: string) =>
    checks.push(ok || hint === undefined ? { name, ok, detail } : { name, ok, detail, hint });
  const native = await whyNotNative();
  add(
    "native host",
    native === undefined,
    native ?? "/dev/colinux and colinuxd are here",
    "make install loads the module; up uses the virtual host meanwhile",
  );
  const emulator = await findProgram("qemu-system-x86_64");
  add(
    "emulator",
    emulator !== undefined,
    emulator ?? "qemu-system-x86_64 is not in PATH",
    "install qemu-system-x86 for the virtual host",
  );
  add("accelerator", true, kvmDetail());
  try {
    await makeDirs(context.paths);
    add("folders", true, context.paths.state);
  } catch (error) {
    add("folders", false, error instanceof Error ? error.message : String(error));
  }
  const host = await chooseHost(context);
  const status = await host.status();
  add(
    "host",
    status.running,
    `the ${status.kind} host ${status.running ? "runs" : "does not run"}`,
    status.kind === "virtual" ? "colinux host start, or up" : "systemctl start colinuxd",
  );
  const report: Report = {
    ok: native === undefined || emulator !== undefined,
    checks,
    host: status,
  };
  if (!status.running) return report;
  try {
    using client = await openClient(context, host);
    const { hello } = client;
    add("helper", true, `build ${hello?.build}, ABI ${hello?.abi}, contract ${hello?.version}`);
    const { checks: theirs } = await client.call("host.doctor", {}, { signal: context.signal });
    checks.push(...theirs);
    if (theirs.some((check) => !check.ok && check.name === "device")) report.ok = false;
    else report.info = await client.call("host.info", {}, { signal: context.signal });
  } catch (error) {
    if (!isHostDown(error)) add("helper", false, error instanceof Error ? error.message : "");
    report.ok = false;
  }
  return report;
}

async function findProgram(name: string): Promise<string | undefined> {
  for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
    if (!folder.startsWith("/")) continue;
    try {
      if ((await Deno.stat(`${folder}/${name}`)).isFile) return `${folder}/${name}`;
    } catch {
      // Not in this one.
    }
  }
  return undefined;
}

/** Never a verdict: only a start shows whether KVM runs a kernel. */
function kvmDetail(): string {
  return saw("kvm")
    ? "/dev/kvm is here; the virtual host tries it, else emulates"
    : "no /dev/kvm: the virtual host emulates (slower, complete)";
}
