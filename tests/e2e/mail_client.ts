// SPDX-License-Identifier: GPL-2.0-or-later
/** SMTP and IMAP as far as the mail tests speak them, beside the real clients. */

async function* linesOf(conn: { readable: ReadableStream<Uint8Array> }): AsyncGenerator<string> {
  let rest = "";
  for await (const text of conn.readable.pipeThrough(new TextDecoderStream("latin1"))) {
    const parts = (rest + text).split("\r\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}

/** One connection to port 25; throws when it is gone or says no. */
export class Smtp {
  readonly #conn: Deno.TcpConn;
  readonly #lines: AsyncGenerator<string>;

  private constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
    this.#lines = linesOf(conn);
  }

  static async open(port: number): Promise<Smtp> {
    return new Smtp(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  async greet(): Promise<void> {
    await this.#expect("220");
    await this.#say("EHLO test.example", "250");
  }

  async #expect(code: string): Promise<void> {
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done) throw new Error("the server has hung up");
      if (value[3] === "-") continue;
      if (!value.startsWith(code)) throw new Error(`${code} expected: ${value}`);
      return;
    }
  }

  async #say(line: string, code: string): Promise<void> {
    const bytes = new TextEncoder().encode(`${line}\r\n`);
    for (let at = 0; at < bytes.length;) at += await this.#conn.write(bytes.subarray(at));
    await this.#expect(code);
  }

  /** Returns when the server has taken responsibility for it. */
  async send(to: string, id: string): Promise<void> {
    await this.#say("MAIL FROM:<sender@test.example>", "250");
    await this.#say(`RCPT TO:<${to}>`, "250");
    await this.#say("DATA", "354");
    const lines = [`Message-Id: <${id}>`, `Subject: ${id}`, "", `This is ${id}.`, "."];
    await this.#say(lines.join("\r\n"), "250");
  }

  close(): void {
    try {
      this.#conn.close();
    } catch {
      // The other side was first.
    }
  }
}

export interface Streaming {
  connections: number;
  count: number;
  /** Ends connections that nobody answers any more. */
  signal?: AbortSignal;
}

/** Sends numbered messages by several connections until all are acknowledged or the server is gone. */
export async function stream(
  port: number,
  to: string,
  prefix: string,
  { connections, count, signal }: Streaming,
  acknowledged: (ids: ReadonlySet<string>) => void = () => {},
): Promise<Set<string>> {
  const done = new Set<string>();
  let next = 0;
  const one = async () => {
    let smtp: Smtp | undefined;
    const end = () => smtp?.close();
    signal?.addEventListener("abort", end);
    try {
      smtp = await Smtp.open(port);
      await smtp.greet();
      while (next < count && signal?.aborted !== true) {
        const id = `${prefix}-${next++}@test.example`;
        await smtp.send(to, id);
        done.add(id);
        acknowledged(done);
      }
    } catch (error) {
      console.log(`a connection ends: ${error instanceof Error ? error.message : error}`);
    } finally {
      signal?.removeEventListener("abort", end);
      smtp?.close();
    }
  };
  await Promise.all(Array.from({ length: connections }, one));
  return done;
}

/** The Message-Ids in INBOX, over TLS that trusts the one certificate only. */
export async function inbox(
  port: number,
  user: string,
  password: string,
  certificate: string,
): Promise<string[]> {
  const conn = await Deno.connectTls({ hostname: "127.0.0.1", port, caCerts: [certificate] });
  try {
    const lines = linesOf(conn);
    const ask = async (command: string) => {
      await conn.write(new TextEncoder().encode(`a ${command}\r\n`));
      const answer: string[] = [];
      for await (const line of { [Symbol.asyncIterator]: () => ({ next: () => lines.next() }) }) {
        if (/^a (NO|BAD)/.test(line)) throw new Error(`${command.split(" ")[0]}: ${line}`);
        if (line.startsWith("a OK")) return answer;
        answer.push(line);
      }
      throw new Error(`${command.split(" ")[0]}: the server has hung up`);
    };
    await ask(`LOGIN ${user} ${password}`);
    const selected = await ask("EXAMINE INBOX");
    if (selected.includes("* 0 EXISTS")) return [];
    const headers = await ask("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])");
    return headers.flatMap((line) => /^Message-Id: <(.*)>$/i.exec(line)?.[1] ?? []);
  } finally {
    conn.close();
  }
}
