"""The fast tokenizer with the ids of Lapwing's own tokens within reach."""

from transformers import PreTrainedTokenizerFast


class LapwingTokenizerFast(PreTrainedTokenizerFast):
    def id_of(self, token):
        found = self.convert_tokens_to_ids(token)
        if found is None or found == self.unk_token_id:
            raise KeyError(f"{token!r} is not one of Lapwing's tokens")
        return found

    @property
    def patch_token_id(self):
        return self.id_of("<|patch|>")

    @property
    def answer_token_id(self):
        return self.id_of("<|answer|>")
