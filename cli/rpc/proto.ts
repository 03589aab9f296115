// SPDX-License-Identifier: GPL-2.0-or-later
// deno-fmt-ignore-file
/**
 * The JSON-RPC contract with colinuxd. Made by helperd/proto/generate.py from
 * methods.json and errors.def: do not edit.
 */

export const PROTO_VERSION = 1;

export const VM_STATES = [
  "created",
  "running",
  "ready",
  "stopped",
  "saved",
  "failed",
  "restarting",
] as const;
export type VmState = (typeof VM_STATES)[number];

export interface Vm {
  name: string;
  state: VmState;
  uid: number;
  id: number;
  memory: number;
  pid?: number;
  reason?: string;
  exit?: number;
  lastLine?: string;
  uptimeMs?: number;
  overheadBytes?: number;
  waiting?: string;
  restarts?: number;
  autostart?: boolean;
}

export interface DiskSpec {
  name: string;
  path: string;
  readOnly: boolean;
  persistentGrants?: boolean;
  size?: number;
}

export const FORWARD_PROTOCOLS = [
  "tcp",
  "udp",
] as const;
export type ForwardProtocol = (typeof FORWARD_PROTOCOLS)[number];

export interface Forward {
  protocol: ForwardProtocol;
  hostAddress: string;
  hostPort: number;
  guestPort: number;
}

export const NET_MODES = [
  "nat",
  "tap",
] as const;
export type NetMode = (typeof NET_MODES)[number];

export interface NetSpec {
  mode: NetMode;
  mac: string;
  tap?: string;
  device?: string;
  forwards: Forward[];
}

export interface TcpCheck {
  port: number;
  expect?: string;
}

export const RESTART_POLICYS = [
  "never",
  "on-failure",
  "always",
] as const;
export type RestartPolicy = (typeof RESTART_POLICYS)[number];

export interface HealthSpec {
  intervalMs: number;
  timeoutMs: number;
  failures: number;
  restart: boolean;
}

export const EXEC_STREAMS = [
  "stdout",
  "stderr",
] as const;
export type ExecStream = (typeof EXEC_STREAMS)[number];

export interface File {
  path: string;
  size?: number;
}

export interface Region {
  name: string;
  start: number;
  end: number;
}

export interface Counter {
  name: string;
  value: number;
}

export interface Check {
  name: string;
  ok: boolean;
  detail: string;
  hint?: string;
}

/** Every method's parameters and result. */
export interface Methods {
  /** First call of every connection: agrees on the contract's version. */
  "hello": {
    params: {
      version: number;
      client?: string;
    };
    result: {
      version: number;
      build: string;
      abi: number;
      uid: number;
      pid: number;
    };
  };
  /** The CPU as the kext reads it, features, what stops guests here. */
  "host.info": {
    params: Record<string, never>;
    result: {
      cpuVendor: string;
      cpuBrand: string;
      cpuSignature: number;
      cpus: number;
      cr0: string;
      cr3: string;
      cr4: string;
      efer: string;
      tscKhz: number;
      memoryTotal: number;
      memoryFree: number;
      heldPages: number;
      protect: string;
      features: string[];
      obstacles: string[];
      build: string;
      abi: number;
      vms: number;
      monitorBytes: number;
      kernel: string;
    };
  };
  /** Every check with its verdict and advice. */
  "host.doctor": {
    params: Record<string, never>;
    result: {
      checks: Check[];
    };
  };
  /** Makes a VM (state created): opens the files with the caller's rights, allocates its memory, starts its worker. memory in bytes. size of a File: bytes to use when the path is a padded block device. readyConsole: plain text of 1 to 256 bytes; once the console's output holds it, the state goes from running to ready (absent: never ready). disks appear in this order as xvda, xvdb ...; nets as eth0 ... (device: a macvtap device whose NIC leads to a NAT that is made already: mode nat, no forwards); agent: the guest runs coLinux's agent on hvc1. readyTcp: ready once the agent has connected to each port of the guest's loopback and read the expected beginning; health repeats these checks while it is ready. restart: what happens when the guest ends by itself: while colinuxd waits to start it again the state is restarting (its disks and networks stay), never stopped or failed, which are for good; Vm.restarts counts, Vm.reason says why. waiting: what a VM that runs is not ready for yet. autostart: colinuxd keeps these parameters and starts the VM whenever it starts itself, until vm.delete or a vm.create without it. */
  "vm.create": {
    params: {
      name: string;
      memory: number;
      kernel: File;
      initrd?: File;
      cmdline?: string;
      vcpus?: number;
      readyConsole?: string;
      disks?: DiskSpec[];
      nets?: NetSpec[];
      agent?: boolean;
      readyTcp?: TcpCheck[];
      health?: HealthSpec;
      restart?: RestartPolicy;
      autostart?: boolean;
    };
    result: {
      vm: Vm;
    };
  };
  /** Builds the domain and runs it; returns when the vCPU runs. */
  "vm.start": {
    params: {
      name: string;
    };
    result: {
      vm: Vm;
    };
  };
  /** Asks the guest to power off (control/shutdown); after timeoutMs (default 30000) forces it. force: at once. */
  "vm.stop": {
    params: {
      name: string;
      timeoutMs?: number;
      force?: boolean;
    };
    result: {
      vm: Vm;
      forced: boolean;
    };
  };
  /** As vm.stop and then vm.start, with what it was created from; the state is restarting between them. A VM that does not run is started. */
  "vm.restart": {
    params: {
      name: string;
      timeoutMs?: number;
      force?: boolean;
    };
    result: {
      vm: Vm;
    };
  };
  /** Removes a VM that does not run (force: ends it first); frees everything it held. */
  "vm.delete": {
    params: {
      name: string;
      force?: boolean;
    };
    result: Record<string, never>;
  };
  /** The caller's VMs (root: all). */
  "vm.list": {
    params: Record<string, never>;
    result: {
      vms: Vm[];
    };
  };
  /** One VM: state, reason of death, memory, last console line, counters. */
  "vm.get": {
    params: {
      name: string;
    };
    result: {
      vm: Vm;
      counters: Counter[];
    };
  };
  /** Where things lie in guest-physical memory; end is exclusive, bytes. */
  "vm.memoryMap": {
    params: {
      name: string;
    };
    result: {
      regions: Region[];
    };
  };
  /** Streams the console to this connection as console.data events, after the last `replay` bytes of the log (default 0). Several viewers at once. */
  "console.attach": {
    params: {
      name: string;
      replay?: number;
    };
    result: {
      dropped: number;
    };
  };
  /** Ends the stream; the log goes on. */
  "console.detach": {
    params: {
      name: string;
    };
    result: Record<string, never>;
  };
  /** Input for the guest's console. */
  "console.write": {
    params: {
      name: string;
      data: string;
    };
    result: {
      written: number;
    };
  };
  /** Tells the guest the viewer's size, as far as hvc0 can. */
  "console.resize": {
    params: {
      name: string;
      columns: number;
      rows: number;
    };
    result: Record<string, never>;
  };
  /** The newest maxBytes of the bounded log (default all), also of a VM that has ended. */
  "console.log": {
    params: {
      name: string;
      maxBytes?: number;
    };
    result: {
      data: string;
      dropped: number;
    };
  };
  /** Runs a command in the guest, by coLinux's agent there (argv empty: the user's login shell; the word @agent: the agent itself); answered when it has been started. user: name or number, default root; cwd: default the user's home; env: NAME=VALUE words beside a fresh login's. tty: on a terminal of that size, all output is stdout's. Without stdin it reads nothing. The command is this connection's: exec.data and exec.exit come here, and it ends when the connection does. */
  "exec.start": {
    params: {
      name: string;
      argv: string[];
      env?: string[];
      user?: string;
      cwd?: string;
      tty?: boolean;
      columns?: number;
      rows?: number;
      stdin?: boolean;
    };
    result: {
      exec: number;
    };
  };
  /** Input for a command; answered when the guest has taken it. eof: and no more. */
  "exec.write": {
    params: {
      name: string;
      exec: number;
      data: string;
      eof?: boolean;
    };
    result: Record<string, never>;
  };
  /** The size of the command's terminal. */
  "exec.resize": {
    params: {
      name: string;
      exec: number;
      columns: number;
      rows: number;
    };
    result: Record<string, never>;
  };
  /** A signal (Linux's number) for the command and all in its process group. */
  "exec.signal": {
    params: {
      name: string;
      exec: number;
      signal: number;
    };
    result: Record<string, never>;
  };
  /** Forwards a port of the host to one of the guest's, at run time, on its first nat network. */
  "port.add": {
    params: {
      name: string;
      forward: Forward;
    };
    result: Record<string, never>;
  };
  /** Ends a forward; connections that stand go on. */
  "port.remove": {
    params: {
      name: string;
      forward: Forward;
    };
    result: Record<string, never>;
  };
  /** The forwards in force. */
  "port.list": {
    params: {
      name: string;
    };
    result: {
      forwards: Forward[];
    };
  };
  /** Sends vm.state (and, with console, console.line) events of the caller's VMs to this connection. */
  "events.subscribe": {
    params: {
      console?: boolean;
    };
    result: Record<string, never>;
  };
}

export type MethodName = keyof Methods;
export type Params<M extends MethodName> = Methods[M]["params"];
export type Result<M extends MethodName> = Methods[M]["result"];

export const METHOD_NAMES: readonly MethodName[] = [
  "hello",
  "host.info",
  "host.doctor",
  "vm.create",
  "vm.start",
  "vm.stop",
  "vm.restart",
  "vm.delete",
  "vm.list",
  "vm.get",
  "vm.memoryMap",
  "console.attach",
  "console.detach",
  "console.write",
  "console.resize",
  "console.log",
  "exec.start",
  "exec.write",
  "exec.resize",
  "exec.signal",
  "port.add",
  "port.remove",
  "port.list",
  "events.subscribe",
];

/** Every event's parameters. */
export interface Events {
  "vm.state": {
    vm: Vm;
  };
  "console.data": {
    name: string;
    data: string;
    dropped?: number;
  };
  "console.line": {
    name: string;
    line: string;
  };
  "console.closed": {
    name: string;
  };
  "exec.data": {
    name: string;
    exec: number;
    stream: ExecStream;
    data: string;
  };
  "exec.exit": {
    name: string;
    exec: number;
    code?: number;
    signal?: number;
    error?: string;
  };
}

export type EventName = keyof Events;
export type EventParams<E extends EventName> = Events[E];

export const EVENT_NAMES: readonly EventName[] = [
  "vm.state",
  "console.data",
  "console.line",
  "console.closed",
  "exec.data",
  "exec.exit",
];

/** `code` of a JSON-RPC error is `number`, `data.name` the key. */
export const ERRORS = {
  INVAL: { number: 1, text: "the request is malformed", hint: "check the arguments" },
  NOMEM: { number: 2, text: "out of memory", hint: "stop a VM or ask for less memory" },
  NOENT: { number: 3, text: "no such VM", hint: "colinux ls shows the VMs there are" },
  EXISTS: { number: 4, text: "a VM of that name exists already", hint: "choose another name or remove it first" },
  BUSY: { number: 5, text: "it is in use", hint: "try again when it is free" },
  STATE: { number: 6, text: "not possible in the VM's present state", hint: "colinux status shows the state" },
  PERM: { number: 7, text: "not permitted", hint: "the VM belongs to another user" },
  FAULT: { number: 8, text: "an address is not accessible", hint: "report this as a bug" },
  ABI: { number: 9, text: "the ABI versions differ", hint: "install module, helper and CLI of one build" },
  NODEV: { number: 10, text: "/dev/colinux is absent", hint: "make install loads the module; up falls back to a virtual host" },
  CPU: { number: 11, text: "this CPU or its configuration cannot run guests", hint: "colinux doctor says what stops it" },
  KERNEL: { number: 12, text: "the kernel image cannot be used", hint: "use a stock x86-64 kernel with CONFIG_XEN_PV=y" },
  INITRD: { number: 13, text: "the initrd cannot be used", hint: "check the file and the VM's memory" },
  TOOBIG: { number: 14, text: "it is too large", hint: "check the limits in the message" },
  TIMEOUT: { number: 15, text: "time ran out", hint: "raise --timeout or look at colinux logs" },
  KILLED: { number: 16, text: "the VM was ended", hint: "colinux status gives the reason" },
  INTR: { number: 17, text: "interrupted", hint: "try again" },
  IO: { number: 18, text: "an input/output error", hint: "see the message for the file" },
  NOSYS: { number: 19, text: "not implemented", hint: "use a newer build" },
  MEMORY: { number: 20, text: "that amount of memory is not possible", hint: "check memory in the definition" },
  LIMIT: { number: 21, text: "a limit was reached", hint: "wait or stop something first" },
  GUEST: { number: 22, text: "the guest did not do as asked", hint: "colinux logs shows what it said" },
  WORKER: { number: 23, text: "the VM's worker died", hint: "colinux up starts the VM again" },
  DISK: { number: 24, text: "the disk cannot be used", hint: "see the message for the file" },
} as const;

export type ErrorName = keyof typeof ERRORS;

export const PARSE_ERROR = -32700;
export const INVALID_REQUEST = -32600;
export const METHOD_NOT_FOUND = -32601;
export const INVALID_PARAMS = -32602;
export const INTERNAL_ERROR = -32603;
