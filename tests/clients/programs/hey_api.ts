// Uses the client that @hey-api/openapi-ts made, and prints what it was told as one line of JSON.
import { client } from "./receiver-client/client.gen";
import {
    getMessage,
    getStatus,
    launchCampaign,
    listCampaignMessages,
    listCampaigns,
    listEvents,
    lookUpMessages,
} from "./receiver-client/sdk.gen";

client.setConfig({ baseUrl: process.env.RECEIVER_URL, auth: () => process.env.RECEIVER_KEY });
const message = process.env.MESSAGE_ID!;

async function launch() {
    const answer = await launchCampaign({
        body: {
            senderInfoTrackingId: "sender-1",
            to: ["+306945000001", "+306945000002"],
            body: { text: "Our spring collection is here." },
        },
        throwOnError: true,
    });
    return answer.data;
}

async function lookUp() {
    const body = { trackingIds: [message, "nothing"] };
    const { data } = await lookUpMessages({ body, throwOnError: true });
    const price: string | null = data.items[0].price;
    return { found: data.items.map((one) => one.trackingId), notFound: data.notFound, price };
}

async function status(campaignId: string) {
    const one = await getStatus({ path: { trackingId: message }, throwOnError: true });
    const other = await getStatus({ path: { trackingId: campaignId }, throwOnError: true });
    return {
        messageStatus: one.data.kind === "message" ? one.data.status : undefined,
        campaignState: other.data.kind === "campaign" ? other.data.state : undefined,
    };
}

async function list(campaignId: string) {
    const path = { trackingId: campaignId };
    const ofCampaign = await listCampaignMessages({ path, throwOnError: true });
    const newest = await listCampaigns({ query: { limit: 1 }, throwOnError: true });
    return {
        listed: ofCampaign.data.items.map((one) => one.status),
        campaigns: newest.data.items.length,
    };
}

async function page(after: string, wait: number) {
    return (await listEvents({ query: { after, wait }, throwOnError: true })).data;
}

/** Read the feed to its end, and then wait for one more item. */
async function follow() {
    const types = new Set<string>();
    let read = await page("beginning", 0);
    for (;;) {
        read.items.forEach((item) => types.add(item.type));
        if (read.items.length < 100) break;
        read = await page(read.nextCursor, 0);
    }
    do {
        read = await page(read.nextCursor, 20);
    } while (read.items.length === 0);
    return { types: [...types].sort(), awaited: read.items[0].type };
}

async function main() {
    const campaign = await launch();
    const cost: string | null = campaign.cost;
    const missing = await getMessage({ path: { trackingId: "nothing" } });
    console.log(
        JSON.stringify({
            submission: campaign.submission,
            cost,
            ...(await lookUp()),
            ...(await status(campaign.id)),
            ...(await list(campaign.id)),
            ...(await follow()),
            problem: missing.error?.type,
        }),
    );
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
