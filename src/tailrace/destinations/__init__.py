"""One file a back end or protocol: five small pure pieces each."""
