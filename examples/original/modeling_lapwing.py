"""Lapwing-VL: a SigLIP tower, a sifter and a small Llama-type decoder trained from scratch."""

import torch
from torch import nn
from transformers import LlamaForCausalLM, PreTrainedModel, SiglipVisionModel
from transformers.utils import logging

from .configuration_lapwing import LapwingConfig
from .sifter import Sifter

logger = logging.get_logger(__name__)


class LapwingForReading(PreTrainedModel):
    config_class = LapwingConfig
    main_input_name = "input_ids"
    _no_split_modules = ["SiglipEncoderLayer", "LlamaDecoderLayer", "Glance"]

    def __init__(self, config):
        super().__init__(config)
        self.tower = SiglipVisionModel(config.vision_config())
        self.speaker = LlamaForCausalLM(config.language_config())
        self.sifter = Sifter(config, config.vision["hidden_size"], config.language["hidden_size"])
        # The overview is read before the tiles; its latents are marked so that the decoder can tell.
        self.overview_mark = nn.Parameter(torch.zeros(config.language["hidden_size"]))
        if config.freeze_vision:
            self.tower.requires_grad_(False)
        self.post_init()

    def _init_weights(self, module):
        # Sifter and towers initialise themselves.
        return

    def read_pictures(self, pixel_values, spots, live, is_tile):
        """Latents of all pictures of a batch in one go: (pictures, latent_count, width)."""
        outcome = self.tower(pixel_values.to(self.tower.dtype), output_hidden_states=True)
        # The last layer of SigLIP is shaped by its pooling head; the one before reads print better.
        patches = outcome.hidden_states[self.config.vision_layers_used]
        latents = self.sifter(patches, spots, live, is_tile)
        overview = (~is_tile).to(latents.dtype).view(-1, 1, 1)
        return latents + overview * self.overview_mark

    def weave(self, input_ids, latents):
        """Word embeddings with the latents put where the patch tokens stand."""
        words = self.speaker.get_input_embeddings()(input_ids)
        holes = input_ids == self.config.patch_token_id
        wanted = int(holes.sum())
        offered = latents.shape[0] * latents.shape[1]
        if wanted != offered:
            raise ValueError(
                f"the prompt has room for {wanted} latents but the pictures bring {offered}; "
                "was the prompt truncated in the middle of a picture?"
            )
        return words.masked_scatter(holes.unsqueeze(-1), latents.to(words.dtype).flatten(0, 1))

    def embed(self, input_ids, pixel_values=None, spots=None, live=None, is_tile=None):
        if pixel_values is None:
            return self.speaker.get_input_embeddings()(input_ids)
        return self.weave(input_ids, self.read_pictures(pixel_values, spots, live, is_tile))

    def forward(
        self,
        input_ids,
        attention_mask=None,
        pixel_values=None,
        spots=None,
        live=None,
        is_tile=None,
        labels=None,
        **kwargs,
    ):
        embeddings = self.embed(input_ids, pixel_values, spots, live, is_tile)
        if labels is not None:
            labels = labels.masked_fill(input_ids == self.config.patch_token_id, -100)
        return self.speaker(
            inputs_embeds=embeddings, attention_mask=attention_mask, labels=labels, **kwargs
        )

    @torch.inference_mode()
    def answer(self, processor, image, question, max_new_tokens=160, **kwargs):
        """The answer to one question about one image, as text."""
        batch = processor([image], [question]).to(self.device)
        embeddings = self.embed(
            batch["input_ids"], batch["pixel_values"], batch["spots"], batch["live"], batch["is_tile"]
        )
        room = self.config.language["max_position_embeddings"] - embeddings.shape[1]
        if room < max_new_tokens:
            logger.warning("only %d tokens left for an anwser, the page fills the context", room)
        produced = self.speaker.generate(
            inputs_embeds=embeddings,
            attention_mask=batch["attention_mask"],
            max_new_tokens=min(room, max_new_tokens),
            do_sample=kwargs.pop("do_sample", False),
            repetition_penalty=kwargs.pop("repetition_penalty", 1.07),
            eos_token_id=self.config.language["eos_token_id"],
            pad_token_id=self.config.language["pad_token_id"],
            **kwargs,
        )
        return processor.tokenizer.decode(produced[0], skip_special_tokens=True).strip()
