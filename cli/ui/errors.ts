// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * The one error type that commands throw, and the exit codes (sysexits).
 * Anything else that reaches main is a bug and is reported as one.
 */

/** Exit codes; `colinux help exit-codes` prints this table. */
export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 64,
  data: 65,
  noInput: 66,
  unavailable: 69,
  software: 70,
  osError: 71,
  cantCreate: 73,
  io: 74,
  tempFail: 75,
  protocol: 76,
  noPerm: 77,
  config: 78,
} as const;

export interface ErrorDetails {
  /** Machine-readable name, for example "NOENT"; the contract of --json. */
  name: string;
  /** What to do about it. */
  hint?: string | undefined;
  /** Exit code; default 1. */
  exit?: number;
  /** More lines for a person: a source excerpt, the last console lines. */
  detail?: string | undefined;
  /** Extra members of the --json error object. */
  data?: Record<string, unknown>;
}

export class CliError extends Error {
  override readonly name: string;
  readonly hint: string | undefined;
  readonly exit: number;
  readonly detail: string | undefined;
  readonly data: Record<string, unknown>;

  constructor(message: string, details: ErrorDetails) {
    super(message);
    this.name = details.name;
    this.hint = details.hint;
    this.exit = details.exit ?? EXIT.failure;
    this.detail = details.detail;
    this.data = details.data ?? {};
  }
}
