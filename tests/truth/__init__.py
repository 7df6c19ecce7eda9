"""What digits computes against bare loops and reference libraries: any loss and any metric takes part by being listed.

A metric is listed in `metrics.COMPARED` with the samples that hypothesis draws for it and what a library of the field says of
them; `test_metrics` compares, and brings it together from batches and processes in any division and order. A loss is listed in
`losses.CASES` with the labels it is for and its plain formula over all records at once; `test_losses` compares the loss of the
validation, that of the training and the step of the optimizer. `memory.opened` opens a training on arrays in memory and gives its
loop, not run: `training_step.train_batch` and `.evaluate` are what a training calls. An option of the form is a `Case` of
`test_spy`. `engines.part` gives the same module of either engine.
"""
