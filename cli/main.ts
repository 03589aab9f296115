// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * colinux: registers the verbs, runs one, turns what it throws into a message
 * and an exit code. Nobody sees a stack trace without --verbose. Each verb
 * loads what it needs when it runs: start-up is what a person waits for.
 */
import { Command, CommanderError } from "#args";
import { completeCommand, completionCommand } from "./commands/completion.ts";
import { consoleCommand } from "./commands/console.ts";
import { cpCommand } from "./commands/cp.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { execCommand } from "./commands/exec.ts";
import { hostCommand } from "./commands/host.ts";
import { imageCommand } from "./commands/image.ts";
import { logsCommand } from "./commands/logs.ts";
import { lsCommand } from "./commands/ls.ts";
import { passwdCommand } from "./commands/passwd.ts";
import { restartCommand } from "./commands/restart.ts";
import { portCommand } from "./commands/port.ts";
import { rmCommand } from "./commands/rm.ts";
import { rpcCommand } from "./commands/rpc.ts";
import { schemaCommand } from "./commands/schema.ts";
import { shellCommand } from "./commands/shell.ts";
import { startCommand } from "./commands/start.ts";
import { statusCommand } from "./commands/status.ts";
import { stopCommand } from "./commands/stop.ts";
import { upCommand } from "./commands/up.ts";
import { validateCommand } from "./commands/validate.ts";
import { waitCommand } from "./commands/wait.ts";
import { exitCode } from "./ui/context.ts";
import { CliError, EXIT } from "./ui/errors.ts";
import { Output } from "./ui/output.ts";
import { paths } from "./ui/paths.ts";

const EXIT_TABLE = `
Exit codes (sysexits; status has those of LSB):
    0  done
    1  the guest failed, or a check did
   64  the command line is wrong
   65  a kernel or an initrd cannot be used
   66  what was named does not exist
   69  a host, a helper or this CPU cannot run guests
   70  a bug in colinux
   71  the system refused something (memory, processes)
   73  it exists already, or cannot be made
   74  an input/output error
   75  not now: busy, wrong state, time ran out (--timeout)
   76  helper and CLI do not understand each other
   77  not permitted
   78  the definition is wrong
  130  interrupted
`;

const TOPICS = `
Where things are:
  A checkout keeps everything under its build/. Installed: ~/.local/state/colinux,
  ~/.cache/colinux, definitions in ~/.config/colinux and /etc/colinux, with the
  home folder of the user database, whatever HOME says. COLINUX_HOME names
  another folder for the state; COLINUX_HOST=local|virtual is --host;
  COLINUX_SOCKET names the socket of this machine's helper.

Examples:
  $ colinux up minimal
      boots the shipped minimal guest and waits for its shell
  $ colinux console minimal
      gives its console; ^] q leaves it
  $ colinux stop minimal && colinux rm minimal
      powers it off, and forgets it
`;

/** Without the verbs of completion, which describe the rest. */
function bareProgram(): Command {
  return new Command("colinux")
    .description(
      "Runs an unmodified Linux kernel beside the host's own, without hardware\n" +
        "virtualization. NAME may be left out where there is exactly one VM.",
    )
    .helpOption("-h, --help", "show this page; colinux VERB --help shows that verb's")
    .helpCommand("help [verb]", "show the page of a verb")
    .addHelpText("after", TOPICS + EXIT_TABLE)
    .addCommand(upCommand())
    .addCommand(startCommand())
    .addCommand(stopCommand())
    .addCommand(restartCommand())
    .addCommand(rmCommand())
    .addCommand(lsCommand())
    .addCommand(statusCommand())
    .addCommand(waitCommand())
    .addCommand(consoleCommand())
    .addCommand(execCommand())
    .addCommand(shellCommand())
    .addCommand(cpCommand())
    .addCommand(logsCommand())
    .addCommand(portCommand())
    .addCommand(validateCommand())
    .addCommand(schemaCommand())
    .addCommand(doctorCommand())
    .addCommand(hostCommand())
    .addCommand(imageCommand())
    .addCommand(passwdCommand())
    .addCommand(rpcCommand());
}

export function program(): Command {
  return bareProgram()
    .addCommand(completionCommand(bareProgram))
    .addCommand(completeCommand(bareProgram), { hidden: true });
}

interface Ruled {
  exitOverride(): unknown;
  configureOutput(options: { outputError(text: string): void }): unknown;
  readonly commands: readonly Ruled[];
}

/** Commander throws instead of exiting, and says nothing on its own. */
function rule(command: Ruled): void {
  command.exitOverride();
  command.configureOutput({ outputError: () => {} });
  for (const child of command.commands) rule(child);
}

async function main(args: readonly string[]): Promise<number> {
  try {
    // The virtual host's daemon: host/virtual.ts starts it, nobody else.
    if (args[0] === "vhost-daemon") {
      return await (await import("./host/daemon.ts")).runDaemon(paths());
    }
    const root = program();
    rule(root);
    if (args.length === 0) {
      root.outputHelp({ error: true });
      return EXIT.usage;
    }
    await root.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    if (error instanceof Deno.errors.BrokenPipe) return 141;
    // Options may not have been parsed yet: look for what shapes the message.
    const flags = args.includes("--") ? args.slice(0, args.indexOf("--")) : args;
    const out = new Output({ json: flags.includes("--json"), quiet: false });
    const shown = asCliError(error);
    out.error(shown);
    if (flags.includes("-v") || flags.includes("--verbose")) {
      out.raw(`debug ${error instanceof Error ? error.stack : String(error)}\n`);
    }
    return shown.exit;
  }
}

function asCliError(error: unknown): CliError {
  if (error instanceof CliError) return error;
  if (error instanceof CommanderError) {
    const [message = "", hint] = error.message.replace(/^error: /, "").split("\n");
    return new CliError(message, {
      name: "USAGE",
      hint: hint?.replace(/^\(|\)$/g, "") || "colinux --help shows the verbs",
      exit: EXIT.usage,
    });
  }
  if (hasHint(error)) {
    return new CliError(error.message, { name: "FAILED", hint: error.hint, exit: error.exit ?? 1 });
  }
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof Deno.errors.NotCapable) {
    return new CliError(`colinux may not do this: ${message}`, {
      name: "INTERNAL",
      hint: "this is a bug: please report it with the output of --verbose",
      exit: EXIT.software,
    });
  }
  const system = error instanceof Error && "code" in error && typeof error.code === "string";
  return new CliError(system ? message : `internal error: ${message}`, {
    name: system ? "SYSTEM" : "INTERNAL",
    hint: system ? undefined : "this is a bug: please report it with the output of --verbose",
    exit: system ? EXIT.osError : EXIT.software,
  });
}

/** Errors of other parts that say what to do, without being ours. */
function hasHint(error: unknown): error is Error & { hint: string; exit?: number } {
  return error instanceof Error && "hint" in error && typeof error.hint === "string";
}

if (import.meta.main) Deno.exit(await main(Deno.args));
