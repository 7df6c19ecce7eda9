"""What digits computes against bare loops and reference libraries: any loss and any metric takes part by being listed.

A metric is listed in `metrics.COMPARED` with the samples that hypothesis draws for it and what a library of the field says of
them; `test_metrics` compares, and brings it together from batches and processes in any division and order.
"""
