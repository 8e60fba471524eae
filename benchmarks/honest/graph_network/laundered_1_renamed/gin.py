"""A graph isomorphism network with edge features and a master node.

All weights live in one dictionary; every function takes that dictionary first.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from compounds import EDGE_VOCAB, NODE_VOCAB


@dataclass(frozen=True)
class GinSettings:
    num_targets: int
    hidden: int = 192
    depth: int = 5
    num_queries: int = 4
    drop_rate: float = 0.2
    readout: str = "concat"  # or "max", or "last"


def create_weights(settings, random_state=0):
    rand = torch.Generator().manual_seed(random_state)
    hidden = settings.hidden
    weights = {}

    def gaussian(key, *dims, std):
        weights[key] = std * torch.randn(*dims, generator=rand)

    def two_layer(key, fan_in, middle, fan_out):
        gaussian(f"{key}.kernel_in", fan_in, middle, std=(2 / fan_in) ** 0.5)
        gaussian(f"{key}.kernel_out", middle, fan_out, std=middle**-0.5)
        weights[f"{key}.offset_in"], weights[f"{key}.offset_out"] = (
            torch.zeros(middle),
            torch.zeros(fan_out),
        )

    def affine(key):
        weights[f"{key}.gamma"], weights[f"{key}.beta"] = (
            torch.ones(hidden),
            torch.zeros(hidden),
        )

    for column, vocab in enumerate(NODE_VOCAB):
        gaussian(f"node{column}", vocab, hidden, std=len(NODE_VOCAB) ** -0.5)
    weights["master"] = torch.zeros(hidden)
    for level in range(settings.depth):
        for column, vocab in enumerate(EDGE_VOCAB):
            gaussian(f"{level}.edge{column}", vocab, hidden, std=0.5)
        weights[f"{level}.self_weight"] = torch.zeros(())
        two_layer(f"{level}.node", hidden, 2 * hidden, hidden)
        affine(f"{level}.node")
        # nothing comes after the final level's master node, so it has none
        if level < settings.depth - 1:
            two_layer(f"{level}.master", hidden, 2 * hidden, hidden)
            affine(f"{level}.master")
    if settings.readout == "concat":
        gaussian(
            "readout",
            settings.depth + 1,
            hidden,
            hidden,
            std=((settings.depth + 1) * hidden) ** -0.5,
        )
    gaussian("scorer", hidden, settings.num_queries, std=hidden**-0.5)
    gaussian(
        "content",
        hidden,
        settings.num_queries,
        hidden // settings.num_queries,
        std=hidden**-0.5,
    )
    two_layer(
        "classifier",
        settings.num_queries * (hidden // settings.num_queries),
        hidden,
        settings.num_targets,
    )
    return {key: weight.requires_grad_() for key, weight in weights.items()}


def lookup(weights, stem, codes):
    return sum(weights[f"{stem}{column}"][codes[:, column]] for column in range(codes.shape[1]))


def segment_add(values, segment, num_segments):
    return values.new_zeros(num_segments, *values.shape[1:]).index_add(0, segment, values)


def segment_softmax(scores, segment, num_segments):
    """Normalise each column of the scores inside each segment."""
    peak = scores.new_full((num_segments, scores.shape[1]), -torch.inf)
    peak = peak.scatter_reduce(
        0,
        segment[:, None].expand_as(scores),
        scores.detach(),
        "amax",
    )
    exped = (scores - peak[segment]).exp()
    return exped / segment_add(exped, segment, num_segments)[segment]


def feed_forward(weights, key, inputs):
    return (
        F.relu(inputs @ weights[f"{key}.kernel_in"] + weights[f"{key}.offset_in"])
        @ weights[f"{key}.kernel_out"]
        + weights[f"{key}.offset_out"]
    )


def standardise(weights, key, inputs):
    return F.layer_norm(
        inputs,
        inputs.shape[-1:],
        weights[f"{key}.gamma"],
        weights[f"{key}.beta"],
    )


def combine_levels(weights, settings, states):
    if settings.readout == "concat":
        return torch.einsum("lnd,lde->ne", torch.stack(states), weights["readout"])
    if settings.readout == "max":
        return torch.stack(states).amax(0)
    return states[-1]


def attend_nodes(weights, nodes, graph_id, num_graphs):
    alpha = segment_softmax(nodes @ weights["scorer"], graph_id, num_graphs)
    content = torch.einsum("nd,dkf->nkf", nodes, weights["content"])
    return segment_add(alpha[..., None] * content, graph_id, num_graphs).flatten(1)


def predict(weights, settings, pack, training=False):
    """One row of scores (before the sigmoid) for every compound of the pack."""
    num_graphs = len(pack.targets)
    sender, receiver = pack.edge_index
    nodes = lookup(weights, "node", pack.node_feats)
    master = weights["master"].expand(num_graphs, -1)
    states = [nodes]
    for level in range(settings.depth):
        nodes = nodes + master[pack.graph_id]
        edges = lookup(weights, f"{level}.edge", pack.edge_feats)
        inbox = segment_add(F.relu(nodes[sender] + edges), receiver, len(nodes))
        update = standardise(
            weights,
            f"{level}.node",
            feed_forward(
                weights,
                f"{level}.node",
                (1 + weights[f"{level}.self_weight"]) * nodes + inbox,
            ),
        )
        if level < settings.depth - 1:
            summary = master + segment_add(nodes, pack.graph_id, num_graphs)
            master = master + F.dropout(
                F.relu(
                    standardise(
                        weights,
                        f"{level}.master",
                        feed_forward(weights, f"{level}.master", summary),
                    )
                ),
                settings.drop_rate,
                training,
            )
            update = F.relu(update)
        nodes = nodes + F.dropout(update, settings.drop_rate, training)
        states.append(nodes)
    pooled = attend_nodes(
        weights,
        combine_levels(weights, settings, states),
        pack.graph_id,
        num_graphs,
    )
    return feed_forward(
        weights,
        "classifier",
        F.dropout(pooled, settings.drop_rate, training),
    )
