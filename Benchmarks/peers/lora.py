"""LoRA with PEFT and transformers: all seven projections, AdamW, padded batches, the model's own loss over `labels`."""
import common
import peft
import torch

PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--alpha", type=int, default=128)
    parser.add_argument("--out", help="folder to write the adapter to")
    options = parser.parse_args()
    settings = peft.LoraConfig(
        task_type="CAUSAL_LM", r=options.rank, lora_alpha=options.alpha, lora_dropout=0.0, target_modules=PROJECTIONS
    )
    model = peft.get_peft_model(common.load_model(options.model), settings)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=options.learning_rate)
    steps = common.timed_steps(options, common.causal_step(model, optimizer))
    if options.out:
        model.save_pretrained(options.out)
    common.finish(steps=steps, trained=sum(parameter.numel() for parameter in trained))


if __name__ == "__main__":
    main()
