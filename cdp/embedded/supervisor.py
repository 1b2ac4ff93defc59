def run_product() -> int:
    return 0
