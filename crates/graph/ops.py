#!/usr/bin/env python3
"""Writes src/ops/table.rs from the operator schemas of the PyPI package `onnx`.

usage: python ops.py > src/ops/table.rs
"""
import onnx
from onnx import defs, helper

TABLES = {"": "AI_ONNX", "ai.onnx.ml": "AI_ONNX_ML"}


def main():
    ops = {}
    for schema in defs.get_all_schemas_with_history():
        ops.setdefault((schema.domain, schema.name), []).append((schema.since_version, schema.deprecated))
    print(f"//! Every operator of onnx {onnx.__version__}, by name: the opsets at which it was added or changed, and\n"
          "//! the one that removed it. Made by `ops.py` beside this crate's `Cargo.toml`; do not edit.\n")
    print("use super::Op;\n")
    for domain, table in TABLES.items():
        rows = sorted((name, sorted(versions)) for (d, name), versions in ops.items() if d == domain)
        newest = defs.onnx_opset_version() if domain == "" else max(v for _, vs in rows for v, _ in vs)
        print(f"pub(super) const {table}_NEWEST: i64 = {newest};\n")
        print(f"pub(super) const {table}: &[Op] = &[")
        for name, versions in rows:
            removed = versions[-1][0] if versions[-1][1] else None
            since = [v for v, _ in versions if v != removed]
            print(f'    Op {{ name: "{name}", since: &{since}, removed: {f"Some({removed})" if removed else None} }},')
        print("];\n")
    print("/// The oldest IR version that may carry each opset of the default domain, from 1 on.")
    ir = [helper.OP_SET_ID_VERSION_MAP.get(("ai.onnx", v), 3) for v in range(1, defs.onnx_opset_version() + 1)]
    print(f"pub(super) const AI_ONNX_IR: &[i64] = &{ir};")


main()
