// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * TCP of a guest against the bare virtual host: the same program, the same server
 * on this machine, through QEMU's user network, taking turns. The bare host's NIC is
 * virtio-net as QEMU makes it when nothing else is said; both kernels have the same words.
 * Wall time, as people wait for it, not instructions: much of it is not ours.
 */
import { LEAN } from "../../cli/host/vhost/qemu.ts";
import { inside } from "../e2e/inside.ts";
import { NetGuest } from "../e2e/net_guest.ts";
import { OWN } from "../e2e/net_space.ts";
import { median, type Row } from "./table.ts";

/** Ratios of time: half the throughput, three times the round trip. */
const LIMITS = { send: 2, recv: 2, trip: 3 };
const BYTES = 30_000_000;
const TRIPS = 300;
const ROUNDS = 5;

/** Nanoseconds for a megabyte, or for a round trip. */
function cost(out: string): number {
  const trip = /round trips of ([\d.]+) us/.exec(out)?.[1];
  if (trip !== undefined) return Number(trip) * 1e3;
  return Number(/in ([\d.]+) s/.exec(out)?.[1]) * 1e9 / (BYTES / 1e6);
}

const BARE_MAC = "52:54:00:12:34:56";
const BARE_NIC = {
  COLINUX_VHOST_QEMU: "-netdev user,id=bare -device virtio-net-pci,romfile=,netdev=bare," +
    `mac=${BARE_MAC}`,
};

/** The bare host's own way out. */
async function bareNic({ box }: NetGuest): Promise<void> {
  const path = await inside(box, `grep -l ${BARE_MAC} /sys/class/net/*/address`);
  const name = path.split("/")[4] ?? "";
  await inside(box, `ip link set ${name} up; ip addr add 10.0.2.15/24 dev ${name}`);
  await inside(box, "ip route add default via 10.0.2.2");
}

export async function netRows(): Promise<Row[]> {
  await using net = await NetGuest.start("bench", [], "qemu", BARE_NIC, LEAN);
  await bareNic(net);
  const address = OWN.ipv4;
  const row = async (name: keyof typeof LIMITS, what: string, count: number): Promise<Row> => {
    const bares: number[] = [], guests: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      bares.push(cost(await net.inside(what, address, count)));
      guests.push(cost(await net.net(what, address, count)));
    }
    const bare = median(bares), guest = median(guests);
    return { name: `tcp-${name}`, bare, guest, ratio: guest / bare, limit: LIMITS[name] };
  };
  return [
    await row("send", "send", BYTES),
    await row("recv", "recv", BYTES),
    await row("trip", "ping", TRIPS),
  ];
}
