"""The runtime under AddressSanitizer and UndefinedBehaviorSanitizer: valid plans, checked; mutated plans, survived."""
