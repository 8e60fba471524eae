import torch
import torch.nn as nn
from transformers import LlamaForCausalLM, PreTrainedModel, SiglipVisionModel
from transformers.utils import logging

from .config import SkylarkConfig
from .connector import Connector

logger = logging.get_logger(__name__)


class SkylarkForConditionalGeneration(PreTrainedModel):
    config_class = SkylarkConfig
    main_input_name = "input_ids"
    _no_split_modules = ["SiglipEncoderLayer", "LlamaDecoderLayer", "ConnectorBlock"]

    def __init__(self, config):
        super().__init__(config)
        llm_dim, vision_dim = config.language["hidden_size"], config.vision["hidden_size"]
        self.vision_encoder = SiglipVisionModel(config.get_vision_config())
        self.llm = LlamaForCausalLM(config.get_llm_config())
        self.connector, self.global_token = Connector(config, vision_dim, llm_dim), nn.Parameter(torch.zeros(llm_dim))
        if config.freeze_vision:
            self.vision_encoder.requires_grad_(False)
        self.post_init()

    def _init_weights(self, module):
        pass

    def get_inputs_embeds(self, input_ids, pixel_values=None, boxes=None, valid=None, is_crop=None):
        inputs_embeds = self.llm.get_input_embeddings()(input_ids)
        if pixel_values is None:
            return inputs_embeds
        hidden_states = self.vision_encoder(
            pixel_values.to(self.vision_encoder.dtype), output_hidden_states=True).hidden_states
        image_embeds = self.connector(hidden_states[self.config.vision_layers_used], boxes, valid, is_crop)
        image_embeds = image_embeds + (~is_crop).to(image_embeds.dtype)[:, None, None] * self.global_token
        image_mask = input_ids == self.config.patch_token_id
        n_tokens, n_embeds = int(image_mask.sum()), image_embeds.size(0) * image_embeds.size(1)
        if n_tokens != n_embeds:
            raise ValueError(f"the prompt has room for {n_tokens} embeddings but the images bring {n_embeds}; "
                             "was the prompt truncated in the middle of a picture?")
        return inputs_embeds.masked_scatter(image_mask[..., None], image_embeds.to(inputs_embeds.dtype).flatten(0, 1))

    def forward(self, input_ids, attention_mask=None, pixel_values=None, boxes=None, valid=None, is_crop=None,
                labels=None, **kwargs):
        if labels is not None:
            labels = torch.where(input_ids == self.config.patch_token_id, -100, labels)
        return self.llm(inputs_embeds=self.get_inputs_embeds(input_ids, pixel_values, boxes, valid, is_crop),
                        attention_mask=attention_mask, labels=labels, **kwargs)


@torch.inference_mode()
def chat(model, tokenizer, inputs, max_new_tokens=160, do_sample=False, repetition_penalty=1.07, **kwargs):
    """Run the model on a batch from `processor.prepare` and return the response."""
    llm_cfg, inputs = model.config.language, inputs.to(model.device)
    embeds = model.get_inputs_embeds(
        inputs["input_ids"], inputs["pixel_values"], inputs["boxes"], inputs["valid"], inputs["is_crop"])
    remaining = llm_cfg["max_position_embeddings"] - embeds.size(1)
    if max_new_tokens > remaining:
        logger.warning("only %d tokens left for an anwser, the page fills the context", remaining)
    ids = model.llm.generate(
        inputs_embeds=embeds, attention_mask=inputs["attention_mask"], do_sample=do_sample,
        max_new_tokens=min(max_new_tokens, remaining), repetition_penalty=repetition_penalty,
        eos_token_id=llm_cfg["eos_token_id"], pad_token_id=llm_cfg["pad_token_id"], **kwargs)
    return tokenizer.decode(ids[0], skip_special_tokens=True).strip()
