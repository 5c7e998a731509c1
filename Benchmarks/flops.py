"""Floating-point operations that a training step must do, from the shape of the model and of the batch."""
import json
import os


def configuration(model):
    with open(os.path.join(model, "config.json")) as file:
        return json.load(file)


def training_step(config, rows, dense, ticket=1.0):
    """FLOPs of one step over `rows`, a list of (tokens, labels); a multiplication and an addition are two.

    Let N be the tokens of all rows, M the labels, l a row's tokens, H the hidden size, F the feed-forward size, V the
    vocabulary, h heads of d elements, g heads of keys and values.

    * A product of [N, a] by [a, b] costs 2 N a b. The projections of a layer hold
      P = H h d (queries) + 2 H g d (keys, values) + h d H (output) + 3 H F (gate, up, down) weights.
      Forward costs 2 N P; backward as much for the inputs' gradients and once more for the weights': 6 N P. Of the
      weights' gradients a sparse phase needs the share `ticket` alone: 2 N P `ticket` instead of 2 N P.
    * In the first layer the input's gradient of queries, keys and values is needed for the embedding alone. With the
      embedding frozen, 2 N (H h d + 2 H g d) falls away.
    * Attention is causal: of scores and of weighted values l (l + 1) / 2 pairs a head are needed, 2 d operations each,
      2 h d l (l + 1) together. Backward costs 2.5 times as much: the scores again, and the gradients of weights,
      values, queries and keys.
    * The head is needed at labels alone: 2 M H V forward, as much for its input's gradient, and as much again for its
      weights' gradient when they are trained (`dense`; the sparse phase leaves it out).

    Norms, rotations, activations, the softmax and the optimizer do not count: they are no matrix products.
    """
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    groups = config.get("num_key_value_heads") or heads
    size = config.get("head_dim") or hidden // heads
    layers, vocabulary = config["num_hidden_layers"], config["vocab_size"]
    tokens = sum(row[0] for row in rows)
    labels = sum(row[1] for row in rows)

    inward = hidden * heads * size + 2 * hidden * groups * size
    projections = inward + heads * size * hidden + 3 * hidden * config["intermediate_size"]
    linear = layers * (4 + 2 * ticket) * tokens * projections - (0 if dense else 2 * tokens * inward)
    attention = layers * 3.5 * sum(2 * heads * size * length * (length + 1) for length, _ in rows)
    head = (6 if dense else 4) * labels * hidden * vocabulary
    return linear + attention + head


def weight_bytes_per_token(config, bytes_per_weight=4):
    """Bytes of weights that generating one token at batch size 1 must read: all projections and the head, once."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    groups = config.get("num_key_value_heads") or heads
    size = config.get("head_dim") or hidden // heads
    layer = 2 * hidden * heads * size + 2 * hidden * groups * size + 3 * hidden * config["intermediate_size"]
    return bytes_per_weight * (config["num_hidden_layers"] * layer + config["vocab_size"] * hidden)


def scoped_bytes(config, bytes_per_weight=4):
    """Bytes of the projections of all layers, the matrices that a ticket may be drawn from."""
    head = config["vocab_size"] * config["hidden_size"] * bytes_per_weight
    return weight_bytes_per_token(config, bytes_per_weight) - head
