#!/usr/bin/python3
"""Writes DistilRoBERTa's shape with random weights as ONNX, for the encoder's peer.

  encoder_export.py OUT.onnx        needs python3-torch"""

import pathlib
import sys

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "encoder"))

import checkpoint  # noqa: E402
import reference  # noqa: E402

made = checkpoint.config(kind="roberta", hidden=768, layers=6, heads=12, inner=3072, vocabulary=50265,
                         positions=514, labels=list("abcdefg"))
model = reference.randomize(reference.Classifier(made), 1)
ids = torch.randint(3, 50000, (2, 8))
torch.onnx.export(model, (ids, torch.ones_like(ids)), sys.argv[1], input_names=["ids", "mask"],
                  output_names=["logits"], opset_version=14, do_constant_folding=True,
                  dynamic_axes={name: {0: "batch", 1: "length"} for name in ("ids", "mask")})
