// SPDX-License-Identifier: GPL-2.0-or-later
/** QEMU's machine protocol on a Unix socket: NMIs, suspend, machine checks. */

export class Qmp {
  #connection?: Deno.Conn;
  #pending = "";
  #events: string[] = [];
  #text = new TextDecoder();

  constructor(private readonly path: string) {}

  async #line(): Promise<Record<string, unknown>> {
    const buffer = new Uint8Array(65536);
    for (;;) {
      const end = this.#pending.indexOf("\n");
      if (end >= 0) {
        const line = this.#pending.slice(0, end);
        this.#pending = this.#pending.slice(end + 1);
        return JSON.parse(line);
      }
      const n = await this.#connection?.read(buffer);
      if (!n) throw new Error("QEMU closed its control socket");
      this.#pending += this.#text.decode(buffer.subarray(0, n), { stream: true });
    }
  }

  async execute(command: string, args: Record<string, unknown> = {}): Promise<unknown> {
    if (!this.#connection) {
      this.#connection = await Deno.connect({ transport: "unix", path: this.path });
      await this.#line();
      await this.execute("qmp_capabilities");
    }
    const request = JSON.stringify({ execute: command, arguments: args }) + "\n";
    const bytes = new TextEncoder().encode(request);
    for (let at = 0; at < bytes.length;) at += await this.#connection.write(bytes.subarray(at));
    for (;;) {
      const answer = await this.#line();
      if ("return" in answer) return answer.return;
      if ("error" in answer) throw new Error(`${command}: ${JSON.stringify(answer.error)}`);
      if (typeof answer.event === "string") this.#events.push(answer.event);
    }
  }

  /** A command of the human monitor, for what QMP lacks (mce). */
  async human(line: string): Promise<string> {
    return String(await this.execute("human-monitor-command", { "command-line": line }));
  }

  async waitFor(event: string): Promise<void> {
    if (!this.#connection) await this.execute("query-status");
    for (;;) {
      const at = this.#events.indexOf(event);
      if (at >= 0) {
        this.#events.splice(at, 1);
        return;
      }
      const answer = await this.#line();
      if (typeof answer.event === "string") this.#events.push(answer.event);
    }
  }
}
