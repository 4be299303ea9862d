// Uses the client that openapi-generator made, and prints what it was told as one line of JSON.
import {
    CampaignsApi,
    Configuration,
    EventsApi,
    MessagesApi,
    ResponseError,
    StatusApi,
} from "./receiver-client/index.js";

const configuration = new Configuration({
    basePath: process.env.RECEIVER_URL,
    accessToken: process.env.RECEIVER_KEY,
});
const message = process.env.MESSAGE_ID!;
const campaigns = new CampaignsApi(configuration);
const messages = new MessagesApi(configuration);

async function launch() {
    return campaigns.launchCampaign({
        campaignRequest: {
            senderInfoTrackingId: "sender-1",
            to: new Set(["+306945000001", "+306945000002"]),
            body: { text: "Our spring collection is here." },
        },
    });
}

async function lookUp() {
    const answer = await messages.lookUpMessages({ lookup: { trackingIds: [message, "nothing"] } });
    const price: string | null = answer.items[0].price;
    return { found: answer.items.map((one) => one.trackingId), notFound: answer.notFound, price };
}

async function status(campaignId: string) {
    const api = new StatusApi(configuration);
    const one = await api.getStatus({ trackingId: message });
    const other = await api.getStatus({ trackingId: campaignId });
    return {
        messageStatus: one.kind === "message" ? one.status : undefined,
        campaignState: other.kind === "campaign" ? other.state : undefined,
    };
}

async function list(campaignId: string) {
    const ofCampaign = await campaigns.listCampaignMessages({ trackingId: campaignId });
    const newest = await campaigns.listCampaigns({ limit: 1 });
    return { listed: ofCampaign.items.map((one) => one.status), campaigns: newest.items.length };
}

/** Read the feed to its end, and then wait for one more item. */
async function follow() {
    const api = new EventsApi(configuration);
    const types = new Set<string>();
    let page = await api.listEvents({ after: "beginning" });
    for (;;) {
        page.items.forEach((item) => types.add(item.type));
        if (page.items.length < 100) break;
        page = await api.listEvents({ after: page.nextCursor });
    }
    do {
        page = await api.listEvents({ after: page.nextCursor, wait: 20 });
    } while (page.items.length === 0);
    return { types: [...types].sort(), awaited: page.items[0].type };
}

async function problem() {
    try {
        await messages.getMessage({ trackingId: "nothing" });
    } catch (error) {
        if (error instanceof ResponseError) return { problem: (await error.response.json()).type };
        throw error;
    }
    return {};
}

async function main() {
    const campaign = await launch();
    const cost: string | null = campaign.cost;
    console.log(
        JSON.stringify({
            submission: campaign.submission,
            cost,
            ...(await lookUp()),
            ...(await status(campaign.id)),
            ...(await list(campaign.id)),
            ...(await follow()),
            ...(await problem()),
        }),
    );
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
