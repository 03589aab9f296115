#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes helperd/proto/table.inc (C) and cli/rpc/proto.ts (TypeScript) from
methods.json and errors.def.

generate.py          writes both files
generate.py --check  writes nothing; fails, naming the file, where one differs

Called by `make -C helperd proto` and `proto-check`.  It trusts nothing in
methods.json that it does not know: an unknown type or key is an error here,
not a surprise at run time.
"""
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
C_OUT = os.path.join(HERE, "table.inc")
TS_OUT = os.path.join(ROOT, "cli", "rpc", "proto.ts")

SCALARS = {
    "bool": ("PROTO_BOOL", "boolean"),
    "string": ("PROTO_STRING", "string"),
    "u32": ("PROTO_U32", "number"),
    "s32": ("PROTO_S32", "number"),
    "u64": ("PROTO_U64", "number"),
    "base64": ("PROTO_BASE64", "string"),
}
ROUTES = {"root": "PROTO_ROOT", "worker": "PROTO_WORKER"}


def fail(text):
    sys.exit("helperd/proto/generate.py: " + text)


def no_duplicates(pairs):
    seen = {}
    for key, value in pairs:
        if key in seen:
            fail(f"methods.json: key {key!r} appears twice")
        seen[key] = value
    return seen


def only(where, obj, allowed):
    for key in obj:
        if key not in allowed:
            fail(f"methods.json: {where}: unknown key {key!r}")


class Field:
    def __init__(self, where, key, spec, types):
        self.optional = key.endswith("?")
        self.name = key.rstrip("?")
        self.array = spec.endswith("[]")
        self.type = spec[:-2] if self.array else spec
        if self.type not in SCALARS and self.type not in types:
            fail(f"methods.json: {where}.{self.name}: unknown type {spec!r}")


def fields(where, obj, types):
    return [Field(where, k, v, types) for k, v in obj.items()]


def load():
    with open(os.path.join(HERE, "methods.json"), encoding="utf-8") as f:
        doc = json.load(f, object_pairs_hook=no_duplicates)
    only("top level", doc, {"$comment", "version", "types", "methods", "events"})
    names = doc["types"]
    types = {}
    for name, body in names.items():
        only(name, body, {"enum", "fields"})
        types[name] = (
            ("enum", body["enum"]) if "enum" in body
            else ("fields", fields(name, body["fields"], names)))
    methods = []
    for name, body in doc["methods"].items():
        only(name, body, {"doc", "route", "params", "result"})
        if body["route"] not in ROUTES:
            fail(f"methods.json: {name}: unknown route {body['route']!r}")
        methods.append((name, body["doc"], body["route"],
                        fields(name + ".params", body["params"], names),
                        fields(name + ".result", body["result"], names)))
    events = [(name, fields(name, body["params"], names))
              for name, body in doc["events"].items()]
    return doc["version"], types, methods, events


def load_errors():
    path = os.path.join(HERE, "errors.def")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    string = r'"((?:[^"\\]|\\.)*)"'
    found = re.findall(
        r"^CO_ERROR\((\w+),\s*(\d+),\s*" + string + r",\s*" + string + r"\)",
        text, re.M)
    if len(found) != len(re.findall(r"^CO_ERROR\(", text, re.M)):
        fail("errors.def: a line does not read CO_ERROR(NAME, number, \"text\", \"hint\")")
    if len({n for _, n, _, _ in found}) != len(found):
        fail("errors.def: a number is used twice")
    return [(name, int(number), what, hint) for name, number, what, hint in found]


def c_name(name):
    return re.sub(r"\W", "_", name)


def c_fields(label, items, order):
    if not items:
        return f"#define {label} NULL, 0\n"
    out = [f"static const struct proto_field {label}_f[] = {{"]
    for f in items:
        kind = SCALARS[f.type][0] if f.type in SCALARS else "PROTO_TYPE"
        ref = order[f.type] if f.type in order else 0
        out.append(f'\t{{ "{f.name}", {kind}, {int(f.optional)}, '
                   f"{int(f.array)}, {ref} }},")
    out.append("};")
    out.append(f"#define {label} {label}_f, {len(items)}\n")
    return "\n".join(out)


def make_c(version, types, methods, events):
    order = {name: i for i, name in enumerate(types)}
    out = ["/* SPDX-License-Identifier: GPL-2.0-or-later */",
           "/* Made by helperd/proto/generate.py from methods.json: do not edit. */",
           f"#define PROTO_VERSION {version}u", ""]
    for name, (kind, body) in types.items():
        if kind == "enum":
            values = ", ".join(f'"{v}"' for v in body)
            out.append(f"static const char *const T_{name}_e[] = {{ {values}, NULL }};\n")
        else:
            out.append(c_fields(f"T_{name}", body, order))
    out.append("const struct proto_type proto_types[] = {")
    for name, (kind, _) in types.items():
        if kind == "enum":
            out.append(f'\t{{ "{name}", NULL, 0, T_{name}_e }},')
        else:
            out.append(f'\t{{ "{name}", T_{name}, NULL }},')
    out.append("};\n")
    for name, _, _, params, result in methods:
        out.append(c_fields(f"P_{c_name(name)}", params, order))
        out.append(c_fields(f"R_{c_name(name)}", result, order))
    out.append("const struct proto_method proto_methods[] = {")
    for name, _, route, _, _ in methods:
        c = c_name(name)
        out.append(f'\t{{ "{name}", {ROUTES[route]}, P_{c}, R_{c} }},')
    out.append("\t{ NULL, PROTO_ROOT, NULL, 0, NULL, 0 },\n};\n")
    for name, params in events:
        out.append(c_fields(f"E_{c_name(name)}", params, order))
    out.append("const struct proto_event proto_events[] = {")
    for name, _ in events:
        out.append(f'\t{{ "{name}", E_{c_name(name)} }},')
    out.append("\t{ NULL, NULL, 0 },\n};")
    return "\n".join(out) + "\n"


def ts_type(f):
    base = SCALARS[f.type][1] if f.type in SCALARS else f.type
    return base + ("[]" if f.array else "")


def ts_object(items, indent):
    if not items:
        return "Record<string, never>"
    pad = "  " * indent
    lines = [f"{pad}  {f.name}{'?' if f.optional else ''}: {ts_type(f)};" for f in items]
    return "{\n" + "\n".join(lines) + f"\n{pad}}}"


def ts_list(values):
    return "[\n" + "".join(f'  "{v}",\n' for v in values) + "]"


def make_ts(version, types, methods, events, errors):
    out = ["// SPDX-License-Identifier: GPL-2.0-or-later",
           "// deno-fmt-ignore-file",
           "/**",
           " * The JSON-RPC contract with colinuxd. Made by helperd/proto/generate.py from",
           " * methods.json and errors.def: do not edit.",
           " */", "",
           f"export const PROTO_VERSION = {version};", ""]
    for name, (kind, body) in types.items():
        if kind == "enum":
            const = re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper() + "S"
            out.append(f"export const {const} = {ts_list(body)} as const;")
            out.append(f"export type {name} = (typeof {const})[number];\n")
        else:
            out.append(f"export interface {name} {ts_object(body, 0)}\n")
    out.append("/** Every method's parameters and result. */")
    out.append("export interface Methods {")
    for name, doc, _, params, result in methods:
        out.append(f"  /** {doc} */")
        out.append(f'  "{name}": {{')
        out.append(f"    params: {ts_object(params, 2)};")
        out.append(f"    result: {ts_object(result, 2)};")
        out.append("  };")
    out.append("}\n")
    out.append("export type MethodName = keyof Methods;")
    out.append('export type Params<M extends MethodName> = Methods[M]["params"];')
    out.append('export type Result<M extends MethodName> = Methods[M]["result"];\n')
    out.append(f"export const METHOD_NAMES: readonly MethodName[] = "
               f"{ts_list(m[0] for m in methods)};\n")
    out.append("/** Every event's parameters. */")
    out.append("export interface Events {")
    for name, params in events:
        out.append(f'  "{name}": {ts_object(params, 1)};')
    out.append("}\n")
    out.append("export type EventName = keyof Events;")
    out.append('export type EventParams<E extends EventName> = Events[E];\n')
    out.append(f"export const EVENT_NAMES: readonly EventName[] = "
               f"{ts_list(e[0] for e in events)};\n")
    out.append("/** `code` of a JSON-RPC error is `number`, `data.name` the key. */")
    out.append("export const ERRORS = {")
    for name, number, text, hint in errors:
        out.append(f'  {name}: {{ number: {number}, text: "{text}", hint: "{hint}" }},')
    out.append("} as const;\n")
    out.append("export type ErrorName = keyof typeof ERRORS;\n")
    out.append("export const PARSE_ERROR = -32700;")
    out.append("export const INVALID_REQUEST = -32600;")
    out.append("export const METHOD_NOT_FOUND = -32601;")
    out.append("export const INVALID_PARAMS = -32602;")
    out.append("export const INTERNAL_ERROR = -32603;")
    return "\n".join(out) + "\n"


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        fail("usage: generate.py [--check]")
    version, types, methods, events = load()
    made = {C_OUT: make_c(version, types, methods, events),
            TS_OUT: make_ts(version, types, methods, events, load_errors())}
    stale = []
    for path, text in made.items():
        try:
            with open(path, encoding="utf-8") as f:
                old = f.read()
        except FileNotFoundError:
            old = None
        if old == text:
            continue
        if check:
            stale.append(os.path.relpath(path, ROOT))
            continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    if stale:
        fail("differs from methods.json and errors.def: " + ", ".join(stale)
             + " (run make -C helperd proto)")


main()
