// SPDX-License-Identifier: GPL-2.0-or-later
/** Turns the helper's errors into ours: each name of errors.def has an exit code. */
import { CliError, EXIT } from "../ui/errors.ts";
import { type ErrorName, ERRORS, METHOD_NOT_FOUND } from "./proto.ts";

const EXITS: Record<ErrorName, number> = {
  INVAL: EXIT.data,
  NOMEM: EXIT.osError,
  NOENT: EXIT.noInput,
  EXISTS: EXIT.cantCreate,
  BUSY: EXIT.tempFail,
  STATE: EXIT.tempFail,
  PERM: EXIT.noPerm,
  FAULT: EXIT.software,
  ABI: EXIT.protocol,
  NODEV: EXIT.unavailable,
  CPU: EXIT.unavailable,
  KERNEL: EXIT.data,
  INITRD: EXIT.data,
  TOOBIG: EXIT.data,
  TIMEOUT: EXIT.tempFail,
  KILLED: EXIT.failure,
  INTR: EXIT.tempFail,
  IO: EXIT.io,
  NOSYS: EXIT.protocol,
  MEMORY: EXIT.config,
  LIMIT: EXIT.tempFail,
  GUEST: EXIT.failure,
  WORKER: EXIT.osError,
  DISK: EXIT.noInput,
};

function isErrorName(name: unknown): name is ErrorName {
  return typeof name === "string" && Object.hasOwn(ERRORS, name);
}

function nameOfNumber(code: unknown): ErrorName | undefined {
  for (const name of Object.keys(ERRORS)) {
    if (isErrorName(name) && ERRORS[name].number === code) return name;
  }
  return undefined;
}

/** The exit code that belongs to an error's name, 1 for unknown names. */
export function exitOf(name: string): number {
  return isErrorName(name) ? EXITS[name] : EXIT.failure;
}

/** Makes a CliError of one of errors.def's names. */
export function protoError(name: ErrorName, message: string, hint?: string): CliError {
  return new CliError(message, { name, hint: hint ?? ERRORS[name].hint, exit: EXITS[name] });
}

/** Distrusts the other side: any shape of `error` gives a usable message. */
export function fromRpc(method: string, error: unknown): CliError {
  const object = isRecord(error) ? error : {};
  const data = isRecord(object.data) ? object.data : {};
  const name = isErrorName(data.name) ? data.name : nameOfNumber(object.code);
  const said = typeof object.message === "string" ? object.message : "no reason given";
  const hint = typeof data.hint === "string" ? data.hint : undefined;
  if (name !== undefined) return protoError(name, said, hint);
  return new CliError(`${method}: ${said}`, {
    name: object.code === METHOD_NOT_FOUND ? "NOSYS" : "PROTOCOL",
    hint: hint ?? "helper and CLI may be of different builds: colinux doctor compares them",
    exit: EXIT.protocol,
  });
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
