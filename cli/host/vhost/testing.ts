// SPDX-License-Identifier: GPL-2.0-or-later
/** A double of QEMU's machine protocol for tests. Not in the bundle. */
import type { Monitor } from "./qmp.ts";

type Handler = Parameters<Monitor["on"]>[0];

export interface Command {
  command: string;
  args: Record<string, unknown>;
}

export class FakeMonitor implements Monitor {
  readonly commands: Command[] = [];
  /** Answers by command; an Error is thrown. Default: {}. */
  readonly answers: Record<string, (args: Record<string, unknown>) => unknown> = {};
  readonly #handlers = new Set<Handler>();

  async execute(command: string, args: Record<string, unknown> = {}): Promise<unknown> {
    this.commands.push({ command, args });
    await Promise.resolve();
    const answer = this.answers[command]?.(args) ?? {};
    if (answer instanceof Error) throw answer;
    return answer;
  }

  on(handler: Handler): () => void {
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  event(name: string, data: Record<string, unknown>): void {
    for (const handler of this.#handlers) handler(name, data);
  }

  names(): string[] {
    return this.commands.map(({ command }) => command);
  }
}
