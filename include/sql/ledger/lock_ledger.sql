-- Nobody takes a fence or a new id while this transaction lasts; reading goes on.
LOCK TABLE pipeline_lifecycle IN EXCLUSIVE MODE
