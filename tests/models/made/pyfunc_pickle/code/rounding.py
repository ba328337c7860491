def rounded(values, digits):
    return values.round(digits)
