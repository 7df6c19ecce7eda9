"""Texts of networks with two outputs: `OUTPUTS` is to be replaced by what is given of `scores` and `wrong`, their opposite."""

TEXTS = {
    "pytorch": """
from torch import nn

class Several(nn.Module):
    def __init__(self, numbers, classes):
        super().__init__()
        self.flat, self.scores = nn.Flatten(), nn.Linear(numbers, classes)

    def forward(self, x):
        scores = self.scores(self.flat(x))
        wrong = -scores
        return OUTPUTS

def build_network(context):
    c, h, w = context.input_shape
    return Several(c * h * w, context.num_classes)
""",
    "tensorflow": """
import keras
from keras import layers

def build_network(context):
    c, h, w = context.input_shape
    start = keras.Input((h, w, c))
    scores = layers.Dense(context.num_classes)(layers.Flatten()(start))
    wrong = -scores
    return keras.Model(start, OUTPUTS)
""",
}
