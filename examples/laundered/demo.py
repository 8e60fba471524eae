import sys

from PIL import Image
from transformers import PreTrainedTokenizerFast

from skylark.modeling_skylark import SkylarkForConditionalGeneration, chat
from skylark.processor import load_settings, prepare

if __name__ == "__main__":
    path = sys.argv[3] if len(sys.argv) > 3 else "skylark"
    model = SkylarkForConditionalGeneration.from_pretrained(path).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(path)
    inputs = prepare(tokenizer, load_settings(path), [Image.open(sys.argv[1])], [sys.argv[2]])
    print(chat(model, tokenizer, inputs))
