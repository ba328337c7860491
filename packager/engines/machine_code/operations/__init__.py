"""Operations of the form: one file a family, each with its checks and its C."""
