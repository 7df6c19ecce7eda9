"""GoogLeNet, Inception v1, with batch normalisation (Szegedy et al., 2014). Meant for 224×224 (crop of 256).

Two auxiliary classifiers help the gradient; their losses count 0.3 each. Outputs whose names begin with `auxiliary` serve the
loss only: predictions do not show them.
"""

import keras
from keras import layers, ops

BATCH_SIZE = 32
ONE_SIZE = True  # it is built for pictures of one size
AUXILIARY_WEIGHT = 0.3


def convolution(x, outputs, **options):
    x = layers.Conv2D(outputs, padding="same", use_bias=False, **options)(x)
    return layers.ReLU()(layers.BatchNormalization()(x))


def pool(x):
    """Windows of 3 every 2 pixels; the last may be cut, so that no pixel is left out."""
    return layers.MaxPool2D(3, strides=2, padding="valid" if x.shape[1] % 2 and x.shape[1] > 1 else "same")(x)


def inception(x, one, three_reduce, three, five_reduce, five, pooled):
    """Four paths side by side: 1×1, 3×3, 5×5 and pooling."""
    paths = [
        convolution(x, one, kernel_size=1),
        convolution(convolution(x, three_reduce, kernel_size=1), three, kernel_size=3),
        convolution(convolution(x, five_reduce, kernel_size=1), five, kernel_size=5),
        convolution(layers.MaxPool2D(3, strides=1, padding="same")(x), pooled, kernel_size=1),
    ]
    return layers.Concatenate()(paths)


def auxiliary(x, classes, name):
    size = max(1, x.shape[1] // 4)
    x = convolution(layers.AveragePooling2D(size, padding="same")(x), 128, kernel_size=1)
    x = layers.Dropout(0.7)(layers.Dense(1024, activation="relu")(layers.Flatten()(x)))
    return layers.Dense(classes, name=name)(x)


def build_network(context):
    channels, height, width = context.input_shape
    picture = keras.Input((height, width, channels))
    x = pool(convolution(picture, 64, kernel_size=7, strides=2))  # (N, 56, 56, 64) for 224×224
    x = pool(convolution(convolution(x, 64, kernel_size=1), 192, kernel_size=3))  # (N, 28, 28, 192)
    x = inception(x, 64, 96, 128, 16, 32, 32)
    x = pool(inception(x, 128, 128, 192, 32, 96, 64))
    first = x = inception(x, 192, 96, 208, 16, 48, 64)  # (N, 14, 14, 512)
    x = inception(x, 160, 112, 224, 24, 64, 64)
    x = inception(x, 128, 128, 256, 24, 64, 64)
    second = x = inception(x, 112, 144, 288, 32, 64, 64)  # (N, 14, 14, 528)
    x = pool(inception(x, 256, 160, 320, 32, 128, 128))
    x = inception(x, 256, 160, 320, 32, 128, 128)
    x = inception(x, 384, 192, 384, 48, 128, 128)  # (N, 7, 7, 1024)
    x = layers.Dropout(0.4)(layers.GlobalAveragePooling2D()(x))
    outputs = {
        "output": layers.Dense(context.num_classes, name="output")(x),
        "auxiliary1": auxiliary(first, context.num_classes, "auxiliary1"),
        "auxiliary2": auxiliary(second, context.num_classes, "auxiliary2"),
    }
    return keras.Model(picture, outputs)


def cross_entropy(scores, targets):
    return ops.mean(keras.losses.sparse_categorical_crossentropy(targets, scores, from_logits=True))


def loss(outputs, targets):
    losses = {f"{name}_loss": cross_entropy(scores, targets) for name, scores in outputs.items()}
    main = losses.pop("output_loss")
    return {"loss": main + AUXILIARY_WEIGHT * sum(losses.values()), **losses}


METRICS = {"top1": {"better": "higher", "unit": "%"}, "top5": {"better": "higher", "unit": "%"}}


def metrics(outputs, targets):
    from digits.networks.tensorflow.helpers import classification_accuracy_top_n as accuracy_top_n

    scores = outputs["output"]  # (N, K); the five best of five classes or fewer are always right
    return {f"top{n}": accuracy_top_n(scores, targets, n) for n in (1, 5) if n == 1 or n < scores.shape[1]}
