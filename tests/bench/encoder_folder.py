"""A BERT-family classifier of DistilRoBERTa's shape with random weights, as the Hugging Face hub serves
it, whose tokenizer is simple enough to tell how many tokens a text has: a word has one for every seven
letters, a mark is one."""

import json
import re
import struct

import numpy

HIDDEN, LAYERS, INNER, VOCABULARY, POSITIONS, PIECE = 768, 6, 3072, 50265, 514, 7
LABELS = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")


def plain(text):
    """What the tokenizer is simple for."""
    return re.sub(r"[^ -~]", "", text).lower()


def words(text):
    return re.findall(r"[a-z0-9]+|[^a-z0-9\s]", plain(text))


def pieces(word):
    parts = [word[at:at + PIECE] for at in range(0, len(word), PIECE)]
    return [parts[0], *("##" + part for part in parts[1:])]


def tokens(text):
    """With the two around it."""
    return min(2 + sum(len(pieces(word)) for word in words(text)), POSITIONS - 2)


def tokenizer(texts):
    found = dict.fromkeys(piece for text in texts for word in words(text) for piece in pieces(word))
    assert len(found) + len(SPECIALS) <= VOCABULARY, "these texts have too many words"
    vocabulary = {piece: i for i, piece in enumerate([*SPECIALS, *found])}
    around = {name: {"id": name, "ids": [vocabulary[name]], "tokens": [name]} for name in ("<s>", "</s>")}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [
            {"id": i, "content": name, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True} for i, name in enumerate(SPECIALS)],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing", "pair": [], "special_tokens": around,
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                       {"SpecialToken": {"id": "</s>", "type_id": 0}}]},
        "model": {"type": "WordPiece", "unk_token": "<unk>", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 1000, "vocab": vocabulary},
    }


def config():
    return {"architectures": ["RobertaForSequenceClassification"], "model_type": "roberta",
            "vocab_size": VOCABULARY, "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
            "num_attention_heads": 12, "intermediate_size": INNER, "hidden_act": "gelu",
            "max_position_embeddings": POSITIONS, "type_vocab_size": 1, "layer_norm_eps": 1e-5,
            "pad_token_id": 1, "id2label": {str(i): name for i, name in enumerate(LABELS)}}


def shapes():
    def dense(name, outputs, *inputs):
        return [(f"{name}.weight", (outputs, *inputs)), (f"{name}.bias", (outputs,))]

    embeddings = "roberta.embeddings"
    yield from [(f"{embeddings}.word_embeddings.weight", (VOCABULARY, HIDDEN)),
                (f"{embeddings}.position_embeddings.weight", (POSITIONS, HIDDEN)),
                (f"{embeddings}.token_type_embeddings.weight", (1, HIDDEN)),
                *dense(f"{embeddings}.LayerNorm", HIDDEN)]
    for i in range(LAYERS):
        layer = f"roberta.encoder.layer.{i}"
        for part in ("attention.self.query", "attention.self.key", "attention.self.value",
                     "attention.output.dense"):
            yield from dense(f"{layer}.{part}", HIDDEN, HIDDEN)
        yield from dense(f"{layer}.attention.output.LayerNorm", HIDDEN)
        yield from dense(f"{layer}.intermediate.dense", INNER, HIDDEN)
        yield from dense(f"{layer}.output.dense", HIDDEN, INNER)
        yield from dense(f"{layer}.output.LayerNorm", HIDDEN)
    yield from dense("classifier.dense", HIDDEN, HIDDEN)
    yield from dense("classifier.out_proj", len(LABELS), HIDDEN)


def write_weights(path):
    header, offset = {}, 0
    for name, shape in shapes():
        size = 4 * int(numpy.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    chance = numpy.random.default_rng(1)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for tensor in header.values():
            begin, end = tensor["data_offsets"]
            out.write(((chance.random((end - begin) // 4, numpy.float32) - 0.5) * 0.1).tobytes())


def write(folder, texts):
    """The folder, whose vocabulary has all words of these texts."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config()))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer(texts)))
    write_weights(folder / "model.safetensors")
    return folder
