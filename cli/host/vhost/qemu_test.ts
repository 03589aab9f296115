// SPDX-License-Identifier: GPL-2.0-or-later
import { type Accelerator, candidates, condemn, TCG as REAL } from "./accel.ts";
import { layout, PORTS } from "./layout.ts";
import { MIB, optionsFromEnvironment } from "./options.ts";
import { cpus, kernelCommandLine, PAIR, qemuArguments } from "./qemu.ts";
import { packError, unpackError } from "./wire.ts";
import { CliError } from "../../ui/errors.ts";

const TCG: Accelerator = {
  name: "tcg",
  cpu: "qemu64",
  patience: undefined,
  protect: "none",
  words: ["an-emulator"],
  cpus: 2,
};
const at = layout({ state: "/s", run: "/r,un", cache: "/c" });
const image = { release: "6.1", vmlinuz: "/v", initrd: "/i" };

function check(ok: boolean, what: string): void {
  if (!ok) throw new Error(what);
}

Deno.test("qemu: no TCP port, no unsafe cache, a name for every stream", () => {
  const args = qemuArguments(image, TCG, optionsFromEnvironment(), 2048 * MIB, at);
  const line = args.join(" ");
  for (const bad of ["tcp:", "hostfwd", "guestfwd", "smb", "tftp", "unsafe", "vnc", "telnet"]) {
    check(!line.includes(bad), `${bad} in ${line}`);
  }
  check(!/-netdev|-nic|virtio-net/.test(line), `a NIC before any VM has one: ${line}`);
  check(args.includes("-nodefaults"), "-nodefaults is missing");
  check(line.includes("path=/r,,un/port0.sock"), "a comma in a path is not doubled");
  const streams = args.filter((arg) => /name=colinux\.\d+,/.test(arg));
  check(streams.length === PORTS, `${streams.length} streams`);
  check(!line.includes("colinux.debug"), "a debug shell nobody asked for");
});

Deno.test("qemu: protect follows the accelerator unless asked for", () => {
  const options = optionsFromEnvironment();
  check(kernelCommandLine(TCG, options).includes("colinux.protect=none"), "default");
  const asked = kernelCommandLine(TCG, { ...options, protect: "wp" });
  check(asked.includes("colinux.protect=wp"), asked);
});

Deno.test("qemu: the accelerator's words are the kernel's", () => {
  const words = kernelCommandLine(REAL, optionsFromEnvironment()).split(" ");
  for (const word of ["mitigations=off", "noreplace-smp"]) check(words.includes(word), word);
});

Deno.test("qemu: of two emulated CPUs guests have one", () => {
  const options = { ...optionsFromEnvironment(), smp: 2 };
  const pair = kernelCommandLine(REAL, options).split(" ");
  for (const word of PAIR) check(pair.includes(word), word);
  check(cpus(REAL, options) === 2, "asked for two");
  for (const smp of [1, 3]) {
    const line = kernelCommandLine(REAL, { ...options, smp });
    check(!/isolcpus|guest_cpu/.test(line), `${smp} CPUs: ${line}`);
  }
  const kvm = kernelCommandLine({ ...REAL, cpus: 1 }, options);
  check(!/isolcpus|guest_cpu/.test(kvm), `no emulator: ${kvm}`);
  const here = cpus(REAL, { ...options, smp: undefined });
  check(here === Math.min(2, navigator.hardwareConcurrency), `${here} by itself`);
  const line = qemuArguments(image, REAL, options, 2048 * MIB, at).join(" ");
  check(line.includes("-smp 2 "), line);
});

Deno.test("qemu: the kernel takes the timer of a busy machine's emulator as it is", () => {
  const words = kernelCommandLine(TCG, optionsFromEnvironment()).split(" ");
  for (const word of ["tsc=nowatchdog", "no_timer_check"]) check(words.includes(word), word);
});

Deno.test("accelerators: a verdict lasts until the next boot", async () => {
  const path = await Deno.makeTempFile();
  try {
    await condemn(path, "kvm", "no sign of life");
    const { list, why } = await candidates(path, optionsFromEnvironment());
    check(list.length === 1 && list[0]?.name === "tcg", JSON.stringify(list));
    check(why === "no /dev/kvm" || why === "kvm: no sign of life", String(why));
    await Deno.writeTextFile(path, JSON.stringify({ boot: "another", bad: { kvm: "x" } }));
    const fresh = await candidates(path, optionsFromEnvironment());
    check(fresh.why !== "kvm: x", "an old verdict counts");
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("wire: an error crosses whole", () => {
  const error = new CliError("no memory", { name: "NOMEM", hint: "less", exit: 69, detail: "d" });
  const back = unpackError(JSON.parse(JSON.stringify(packError(error))));
  check(back.message === error.message && back.name === "NOMEM", "message or name");
  check(back.hint === "less" && back.exit === 69 && back.detail === "d", "hint, exit or detail");
  check(unpackError("nonsense").exit === 70, "nonsense");
});
