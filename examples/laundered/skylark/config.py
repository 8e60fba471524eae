from transformers import LlamaConfig, PretrainedConfig, SiglipVisionConfig

VISION_DEFAULTS = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
                   "num_attention_heads": 12, "image_size": 384, "patch_size": 16}

LLM_DEFAULTS = {"vocab_size": 2048, "hidden_size": 768, "intermediate_size": 2112, "num_hidden_layers": 14,
                "num_attention_heads": 12, "num_key_value_heads": 4, "max_position_embeddings": 3072,
                "rope_theta": 50000.0, "rms_norm_eps": 1e-6, "bos_token_id": 0, "eos_token_id": 1,
                "pad_token_id": 2}


class SkylarkConfig(PretrainedConfig):
    model_type = "skylark"

    def __init__(self, vision=None, language=None, vision_layers_used=11, latent_count=72, sifter_depth=3,
                 sifter_heads=12, sifter_gate_init=0.03, tile_edge=384, seam_pixels=32, tile_budget=8,
                 wave_longest=2.0, wave_shortest=0.011, patch_token_id=6, freeze_vision=True, **kwargs):
        self.vision, self.language = {**VISION_DEFAULTS, **(vision or {})}, {**LLM_DEFAULTS, **(language or {})}
        self.vision_layers_used, self.freeze_vision = vision_layers_used, freeze_vision
        self.latent_count, self.sifter_depth = latent_count, sifter_depth
        self.sifter_heads, self.sifter_gate_init = sifter_heads, sifter_gate_init
        self.tile_edge, self.seam_pixels, self.tile_budget = tile_edge, seam_pixels, tile_budget
        self.wave_longest, self.wave_shortest, self.patch_token_id = wave_longest, wave_shortest, patch_token_id
        super().__init__(**kwargs)

    def get_vision_config(self): return SiglipVisionConfig(**self.vision)

    def get_llm_config(self): return LlamaConfig(**self.language)
