"""Writes folders as the Hugging Face hub serves them (config.json, model.safetensors) and what the
reference makes of some texts (expected.json)."""

import json
import pathlib
import random
import struct

import torch

import reference

CODES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64"}


def write_safetensors(path, tensors):
    header, offset, blobs = {}, 0, []
    for name, tensor in tensors.items():
        raw = tensor.contiguous()
        raw = (raw.view(torch.int16) if raw.dtype == torch.bfloat16 else raw).numpy().tobytes()
        header[name] = {"dtype": CODES[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [offset, offset + len(raw)]}
        offset += len(raw)
        blobs.append(raw)
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        out.writelines(blobs)


def config(kind, hidden, layers, heads, inner, vocabulary, positions, labels, activation="gelu", **more):
    architecture = {"bert": "Bert", "distilbert": "DistilBert", "roberta": "Roberta",
                    "xlm-roberta": "XLMRoberta"}[kind] + "ForSequenceClassification"
    made = {"architectures": [architecture], "model_type": kind, "vocab_size": vocabulary,
            "max_position_embeddings": positions, "pad_token_id": 0 if "roberta" not in kind else 1,
            "id2label": {str(i): name for i, name in enumerate(labels)},
            "label2id": {name: i for i, name in enumerate(labels)}}
    if kind == "distilbert":
        made.update(dim=hidden, n_layers=layers, n_heads=heads, hidden_dim=inner, activation=activation)
    else:
        made.update(hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
                    intermediate_size=inner, hidden_act=activation,
                    type_vocab_size=2 if kind == "bert" else 1,
                    layer_norm_eps=1e-12 if kind == "bert" else 1e-5)
    return {**made, **more}


def write(folder, made, seed, dtype=torch.float32, extra=(), model=None):
    """A checkpoint with random weights (or those of `model`). Returns the model with the weights as
    they were written."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model = model or reference.randomize(reference.Classifier(made), seed)
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype).float()
    tensors = {name: tensor.detach().to(dtype) for name, tensor in model.state_dict().items()}
    for name in extra:
        tensors[name] = torch.arange(made["max_position_embeddings"]).unsqueeze(0)
    (folder / "config.json").write_text(json.dumps(made, indent=1) + "\n")
    write_safetensors(folder / "model.safetensors", tensors)
    return model


def expect_of(folder, model, texts, digits=6):
    """What the reference makes of texts, each a list of ids."""
    found = []
    with torch.no_grad():
        for ids in texts:
            batch = torch.tensor([ids])
            found.append({"ids": ids,
                          "logits": [round(x, digits) for x in model(batch)[0].tolist()],
                          "embedding": [round(x, digits) for x in model.embedding(batch)[0].tolist()]})
    path = pathlib.Path(folder) / "expected.json"
    path.write_text("[\n" + ",\n".join(json.dumps(t, separators=(",", ":")) for t in found) + "\n]\n")


def expect(folder, made, model, lengths, seed, digits=6):
    """Random texts of the given lengths, and their logits and embeddings."""
    chance = random.Random(seed)
    texts = [[chance.randrange(made["vocab_size"]) for _ in range(length)] for length in lengths]
    expect_of(folder, model, texts, digits)
