"""Sequence classifiers of the BERT family in plain PyTorch, written from the published architectures:
what Leat's encoder is compared with. Parameters have the names that checkpoints on the Hugging Face
hub have, so a state_dict is a checkpoint."""

import math

import torch
from torch import nn
from torch.nn import functional as F

ACTIVATIONS = {
    "gelu": F.gelu,
    "gelu_new": lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "relu": F.relu,
}


class Tree(nn.Module):
    """Modules under dotted names: Tree({"a.b": module}) has the parameters a.b.*"""

    def __init__(self, modules):
        super().__init__()
        groups = {}
        for name, module in modules.items():
            head, _, rest = name.partition(".")
            groups.setdefault(head, {})[rest] = module
        for head, members in groups.items():
            self.add_module(head, members[""] if "" in members else Tree(members))

    def at(self, name):
        module = self
        for part in name.split("."):
            module = getattr(module, part)
        return module


class Classifier(Tree):
    """`config` is a config.json as a dict. A call takes the ids of one text."""

    def __init__(self, config):
        kind = config["model_type"]
        distil = kind == "distilbert"
        names = ("dim", "n_layers", "n_heads", "hidden_dim", "activation") if distil else (
            "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act")
        hidden, layers, heads, inner, activation = (config[name] for name in names)
        epsilon = 1e-12 if distil else config["layer_norm_eps"]
        root = {"bert": "bert", "distilbert": "distilbert"}.get(kind, "roberta")
        e = f"{root}.embeddings."
        modules = {
            e + "word_embeddings": nn.Embedding(config["vocab_size"], hidden),
            e + "position_embeddings": nn.Embedding(config["max_position_embeddings"], hidden),
            e + "LayerNorm": nn.LayerNorm(hidden, epsilon),
        }
        if not distil:
            modules[e + "token_type_embeddings"] = nn.Embedding(config["type_vocab_size"], hidden)
        self_names = ("q_lin", "k_lin", "v_lin") if distil else ("self.query", "self.key", "self.value")
        rest = ("attention.out_lin", "sa_layer_norm", "ffn.lin1", "ffn.lin2", "output_layer_norm") if distil else (
            "attention.output.dense", "attention.output.LayerNorm", "intermediate.dense", "output.dense",
            "output.LayerNorm")
        stack = f"{root}.transformer.layer" if distil else f"{root}.encoder.layer"
        shapes = (lambda: nn.Linear(hidden, hidden), lambda: nn.LayerNorm(hidden, epsilon),
                  lambda: nn.Linear(hidden, inner), lambda: nn.Linear(inner, hidden),
                  lambda: nn.LayerNorm(hidden, epsilon))
        for i in range(layers):
            for name in self_names:
                modules[f"{stack}.{i}.attention.{name}"] = nn.Linear(hidden, hidden)
            for name, make in zip(rest, shapes):
                modules[f"{stack}.{i}.{name}"] = make()
        head, last = {"bert": ("bert.pooler.dense", "classifier"),
                      "distilbert": ("pre_classifier", "classifier")}.get(
                          kind, ("classifier.dense", "classifier.out_proj"))
        modules[head] = nn.Linear(hidden, hidden)
        modules[last] = nn.Linear(hidden, len(config["id2label"]))
        super().__init__(modules)
        self.embeddings, self.head, self.last = e, head, last
        self.blocks = [([f"{stack}.{i}.attention.{n}" for n in self_names], [f"{stack}.{i}.{n}" for n in rest])
                       for i in range(layers)]
        self.heads, self.activation = heads, ACTIVATIONS[activation]
        self.first = config["pad_token_id"] + 1 if root == "roberta" else 0
        self.head_activation = F.relu if distil else torch.tanh

    def hidden(self, ids, mask=None):
        """ids: batch x length. The last layer's rows."""
        e = self.embeddings
        places = torch.arange(self.first, self.first + ids.shape[1], device=ids.device)
        x = self.at(e + "word_embeddings")(ids) + self.at(e + "position_embeddings")(places)
        if hasattr(self.at(e[:-1]), "token_type_embeddings"):
            x = x + self.at(e + "token_type_embeddings")(torch.zeros_like(ids))
        x = self.at(e + "LayerNorm")(x)
        batch, length, width = x.shape
        for (query, key, value), (out, norm1, inner, outer, norm2) in self.blocks:
            q, k, v = (self.at(n)(x).view(batch, length, self.heads, -1).transpose(1, 2)
                       for n in (query, key, value))
            scores = q @ k.transpose(2, 3) / math.sqrt(width // self.heads)
            if mask is not None:
                scores = scores + (1 - mask[:, None, None, :].float()) * -1e9
            found = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, width)
            x = self.at(norm1)(x + self.at(out)(found))
            x = self.at(norm2)(x + self.at(outer)(self.activation(self.at(inner)(x))))
        return x

    def forward(self, ids, mask=None):
        first = self.hidden(ids, mask)[:, 0]
        return self.at(self.last)(self.head_activation(self.at(self.head)(first)))

    def embedding(self, ids):
        return F.normalize(self.hidden(ids).mean(1), dim=-1)


def randomize(model, seed, spread=1.0):
    """Weights under which a text's tokens, places and order all show in its logits."""
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "LayerNorm" in name or "layer_norm" in name:
            base = 1.0 if name.endswith("weight") else 0.0
            parameter.data = base + 0.1 * torch.randn_like(parameter)
        elif parameter.dim() == 2:
            parameter.data = torch.randn_like(parameter) * (spread / math.sqrt(parameter.shape[1]))
        else:
            parameter.data = 0.1 * torch.randn_like(parameter)
    return model.eval()
