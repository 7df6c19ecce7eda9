from flask.ext.wtf import Form

from digits import utils
from digits.utils import subclass


@subclass
class ConfigForm(Form):
    unit = utils.forms.SelectField("Unit", choices=[("knots", "Knots"), ("miles", "Miles")], default="knots", tooltip="Shown.")
    digits = utils.forms.IntegerField("Digits", default=1)
    whole = utils.forms.BooleanField("Whole", default=True)
