#!/usr/bin/env python3
"""A checkpoint of facebookresearch/dlrm (torch.save) as a safetensors file for `helrm import`.

    dlrm_to_safetensors.py CHECKPOINT.pt WEIGHTS.safetensors

Needs torch only. Where the safetensors package is installed,
safetensors.torch.save_file(state, path) does the same.
"""
import json, struct, sys, torch

state = torch.load(sys.argv[1], map_location="cpu")
state = state.get("state_dict", state)  # --save-model keeps it under this name
header, parts, at = {}, [], 0
for name, tensor in state.items():
    data = tensor.detach().float().contiguous().numpy().astype("<f4").tobytes()
    header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, at + len(data)]}
    parts.append(data)
    at += len(data)
text = json.dumps(header).encode()
with open(sys.argv[2], "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text + b"".join(parts))
