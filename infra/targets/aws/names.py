"""The platform's names. Certificates for them are the consortium's own: role pki issues them."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

_SECONDS = 300


@dataclass(frozen=True)
class NamesArgs:
    """`address`: where the APIs are."""

    zone_id: str
    names: tuple[str, ...]
    address: pulumi.Input[str]


class Names(pulumi.ComponentResource):
    """A record for each name."""

    def __init__(
        self, name: str, args: NamesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("steelyard:aws:Names", name, {}, opts)
        for one in args.names:
            aws.route53.Record(
                one,
                zone_id=args.zone_id,
                name=one,
                type="A",
                ttl=_SECONDS,
                records=[args.address],
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({"names": list(args.names)})
