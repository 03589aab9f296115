// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Where things live. The wrapper (cli/wrapper.sh) decides the folders, since
 * it must name them in Deno's permissions; this module only reads them back.
 * Nothing here touches the disk.
 */
import { CliError, EXIT } from "./errors.ts";

export interface Paths {
  /** State of this user's VMs and virtual host: locks, pid files, logs. */
  readonly state: string;
  /** Sockets. Short enough for sun_path, mode 0700, may be under /tmp. */
  readonly run: string;
  /** Content-keyed: debs, extracted kernels, images. Safe to delete. */
  readonly cache: string;
  /** build/ of a checkout or PREFIX/lib/colinux: programs, module, images. */
  readonly lib: string;
  /** Root of the checkout; undefined when installed. */
  readonly source: string | undefined;
  /** This CLI's own wrapper, to be run again as a daemon. */
  readonly self: string;
  /** Definitions: the user's, the system's, the shipped ones. */
  readonly userConfigs: string;
  readonly systemConfigs: string;
  readonly shippedConfigs: string;
  /** Socket of this machine's helper. */
  readonly nativeSocket: string;
  /** COLINUX_SOCKET was set: that helper is meant, whatever /dev has. */
  readonly nativeForced: boolean;
}

/** The native helper's socket; the wrapper grants this path or COLINUX_SOCKET's. */
export const NATIVE_SOCKET = Deno.build.os === "darwin"
  ? "/var/run/colinux.socket"
  : "/run/colinux/socket";
export const NATIVE_DEVICE = "/dev/colinux";

function need(name: string): string {
  const value = Deno.env.get(name);
  if (value === undefined || value === "") {
    throw new CliError(`${name} is not set`, {
      name: "INSTALLATION",
      hint: "run build/bin/colinux (or the installed colinux), not its script",
      exit: EXIT.software,
    });
  }
  return value;
}

export function paths(): Paths {
  return {
    state: need("COLINUX_STATE_DIR"),
    run: need("COLINUX_RUN_DIR"),
    cache: need("COLINUX_CACHE_DIR"),
    lib: need("COLINUX_LIB_DIR"),
    source: Deno.env.get("COLINUX_SOURCE_DIR") || undefined,
    self: need("COLINUX_SELF"),
    userConfigs: need("COLINUX_USER_CONFIGS"),
    systemConfigs: "/etc/colinux",
    shippedConfigs: need("COLINUX_SHIPPED_CONFIGS"),
    nativeSocket: Deno.env.get("COLINUX_SOCKET") || NATIVE_SOCKET,
    nativeForced: Boolean(Deno.env.get("COLINUX_SOCKET")),
  };
}
