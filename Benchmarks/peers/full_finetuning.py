"""Full fine-tuning with transformers: every parameter, RMSprop, the model's own loss over `labels`."""
import common
import torch


def main():
    options = common.parser(__doc__).parse_args()
    model = common.load_model(options.model)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=options.learning_rate, alpha=0.99, eps=1e-8)
    common.finish(steps=common.timed_steps(options, common.causal_step(model, optimizer)))


if __name__ == "__main__":
    main()
