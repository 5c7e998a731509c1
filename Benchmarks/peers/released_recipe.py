"""The released recipe of Lottery Ticket Adaptation in PyTorch and transformers.

As the authors ran it: padded batches, autograd, gradients masked densely, RMSprop stepping each tensor (here right
after the backward pass), a dense boolean mask and full optimizer state. The loss is summed over a row's labels.
"""
import common
import torch
from safetensors.torch import load_file


def unpacked(path, model):
    packed = load_file(path)
    bits = torch.arange(8, dtype=torch.uint8)
    parameters = dict(model.named_parameters())
    return {
        name: ((bytes_.unsqueeze(1) >> bits) & 1).flatten()[: parameters[name].numel()].view_as(parameters[name]).bool()
        for name, bytes_ in packed.items()
    }


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--mask", required=True)
    options = parser.parse_args()
    model = common.load_model(options.model)
    mask = unpacked(options.mask, model)
    optimizers = {}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in mask)
        if parameter.requires_grad:
            optimizers[name] = torch.optim.RMSprop([parameter], lr=options.learning_rate, alpha=0.99, eps=1e-8)

    def step(ids, labels, attention):
        logits = model(input_ids=ids, attention_mask=attention).logits[:, :-1].float()
        target = labels[:, 1:].clone()
        counted = target != -100
        target[~counted] = 0
        logp = torch.gather(logits.log_softmax(-1), 2, target.unsqueeze(2)).squeeze(2) * counted
        loss = -logp.sum(-1).mean()
        loss.backward()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if parameter.grad is None:
                    continue
                parameter.grad[~mask[name]] = 0
                torch.nn.utils.clip_grad_norm_(parameter, 1.0)
                optimizers[name].step()
                parameter.grad = None
        return loss.detach()

    common.finish(steps=common.timed_steps(options, step))


if __name__ == "__main__":
    main()
