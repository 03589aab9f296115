// SPDX-License-Identifier: GPL-2.0-or-later
/** The schema of "ready", "health", "restart", "autostart" and "message". */
import { z } from "#jsonc";
import { durationText, flag, text } from "./parts.ts";

export const RESTART = ["never", "on-failure", "always"] as const;
export const HEALTH_DEFAULTS = {
  interval: "30s",
  timeout: "5s",
  failures: 3,
  restart: false,
} as const;

const expected = z.string({ error: "must be a string" })
  .min(1, { error: "must not be empty" })
  .refine((value) => new TextEncoder().encode(value).length <= 256, {
    error: "must be at most 256 bytes",
  });

const tcpCheck = z.strictObject({
  port: z.int({ error: "must be a port: 1 to 65535" })
    .min(1, { error: "must be a port: 1 to 65535" })
    .max(65535, { error: "must be a port: 1 to 65535" })
    .describe("A TCP port of the guest."),
  expect: expected.describe(
    "What the guest's server says first. Default: nothing, a connection is enough.",
  ).optional(),
}, { error: 'must be an object such as { "port": 25, "expect": "220 " }' });

export const readyKey = z.strictObject({
  console: expected.describe("Its console has shown this text.").optional(),
  tcp: z.array(tcpCheck, { error: "must be a list of checks" })
    .min(1, { error: "must not be empty" })
    .max(16, { error: "must be at most 16 checks" })
    .describe("The guest's agent could connect to each of these ports.").optional(),
}, { error: 'must be an object such as { "console": "login:" }' })
  .describe(
    "When the VM counts as ready: all that stands here holds. Default: none, `up` ends when " +
      "the VM runs.",
  );

export const healthKey = z.strictObject({
  interval: durationText(1000, 86_400_000, "30s")
    .describe(`Time between two rounds. Default: "${HEALTH_DEFAULTS.interval}".`).optional(),
  timeout: durationText(100, 600_000, "5s")
    .describe(`Time that a round may take. Default: "${HEALTH_DEFAULTS.timeout}".`).optional(),
  failures: z.int({ error: "must be a whole number" })
    .min(1, { error: "must be at least 1" }).max(1000, { error: "must be at most 1000" })
    .describe(`Rounds that fail in a row before it counts. Default: ${HEALTH_DEFAULTS.failures}.`)
    .optional(),
  restart: flag.describe("Then the VM is restarted. Default: false.").optional(),
}, { error: 'must be an object such as { "interval": "30s" }' })
  .describe("Repeats the checks of ready.tcp while the VM is ready. Default: none.");

export const restartKey = z.enum(RESTART)
  .describe(
    'What happens when the guest ends by itself: "never", "on-failure" (a crash) or "always" ' +
      '(also a power-off from inside). Default: "never".',
  );

export const autostartKey = flag.describe(
  "Start it with this machine (where coLinux is installed natively). Default: false.",
);

export const messageKey = z.array(text, { error: "must be a list of lines" }).describe(
  "What `up` prints when the VM is ready. {address 25}, {host 25} and {port 25} are where this " +
    "machine reaches a port of the guest; {password NAME} is a generated password, shown once, " +
    "{password-of NAME} a shell's words that read it from the credentials file; " +
    "{fingerprint 993} the SHA-256 of the certificate at a port. Default: none.",
);

export type HealthInput = z.input<typeof healthKey>;
