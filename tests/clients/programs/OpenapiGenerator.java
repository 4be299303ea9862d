// Uses the client that openapi-generator made, and prints what it was told as one line of JSON.

import com.fasterxml.jackson.databind.ObjectMapper;
import java.math.BigDecimal;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import receiver.client.ApiClient;
import receiver.client.ApiException;
import receiver.client.JSON;
import receiver.client.api.CampaignsApi;
import receiver.client.api.EventsApi;
import receiver.client.api.MessagesApi;
import receiver.client.api.StatusApi;
import receiver.client.model.Campaign;
import receiver.client.model.CampaignBody;
import receiver.client.model.CampaignRequest;
import receiver.client.model.FeedPage;
import receiver.client.model.Lookup;
import receiver.client.model.LookupAnswer;
import receiver.client.model.Problem;

public class OpenapiGenerator {
    private static final String MESSAGE = System.getenv("MESSAGE_ID");
    private static final Map<String, Object> told = new TreeMap<>();

    public static void main(String[] arguments) throws Exception {
        ApiClient client = new ApiClient();
        client.updateBaseUri(System.getenv("RECEIVER_URL"));
        client.setRequestInterceptor(
                request -> request.header("Authorization", "Bearer " + System.getenv("RECEIVER_KEY")));
        String campaign = launch(new CampaignsApi(client));
        lookUp(new MessagesApi(client));
        status(new StatusApi(client), campaign);
        list(new CampaignsApi(client), campaign);
        follow(new EventsApi(client));
        problem(new MessagesApi(client));
        System.out.println(new ObjectMapper().writeValueAsString(told));
    }

    /** Has a campaign sent, and keeps its cost as the exact text that it is. */
    private static String launch(CampaignsApi api) throws ApiException {
        CampaignRequest request = new CampaignRequest()
                .senderInfoTrackingId("sender-1")
                .to(new LinkedHashSet<>(List.of("+306945000001", "+306945000002")))
                .body(new CampaignBody().text("Our spring collection is here."));
        Campaign campaign = api.launchCampaign(
                CampaignsApi.APILaunchCampaignRequest.newBuilder().campaignRequest(request).build());
        String cost = campaign.getCost();
        told.put("submission", campaign.getSubmission().getValue());
        told.put("cost", cost);
        return campaign.getId().toString();
    }

    private static void lookUp(MessagesApi api) throws ApiException {
        Lookup wanted = new Lookup().trackingIds(List.of(MESSAGE, "nothing"));
        LookupAnswer answer =
                api.lookUpMessages(MessagesApi.APILookUpMessagesRequest.newBuilder().lookup(wanted).build());
        told.put("found", answer.getItems().stream().map(one -> one.getTrackingId()).toList());
        told.put("notFound", answer.getNotFound());
        told.put("price", answer.getItems().get(0).getPrice());
    }

    private static void status(StatusApi api, String campaign) throws ApiException {
        var ofMessage = StatusApi.APIGetStatusRequest.newBuilder().trackingId(MESSAGE).build();
        told.put("messageStatus", api.getStatus(ofMessage).getMessageStatus().getStatus().getValue());
        var ofCampaign = StatusApi.APIGetStatusRequest.newBuilder().trackingId(campaign).build();
        told.put("campaignState", api.getStatus(ofCampaign).getCampaignStatus().getState());
    }

    private static void list(CampaignsApi api, String campaign) throws ApiException {
        var messages = api.listCampaignMessages(
                CampaignsApi.APIListCampaignMessagesRequest.newBuilder().trackingId(campaign).build());
        told.put("listed", messages.getItems().stream().map(one -> one.getStatus().getValue()).toList());
        var newest = api.listCampaigns(CampaignsApi.APIListCampaignsRequest.newBuilder().limit(1).build());
        told.put("campaigns", newest.getItems().size());
    }

    /** Reads the feed to its end, and then waits for one more item. */
    private static void follow(EventsApi api) throws ApiException {
        TreeSet<String> types = new TreeSet<>();
        FeedPage page = page(api, "beginning", 0);
        while (true) {
            page.getItems().forEach(item -> types.add(item.getType()));
            if (page.getItems().size() < 100) {
                break;
            }
            page = page(api, page.getNextCursor(), 0);
        }
        do {
            page = page(api, page.getNextCursor(), 20);
        } while (page.getItems().isEmpty());
        told.put("types", types);
        told.put("awaited", page.getItems().get(0).getType());
    }

    private static FeedPage page(EventsApi api, String after, int wait) throws ApiException {
        return api.listEvents(EventsApi.APIListEventsRequest.newBuilder()
                .after(after)
                .waitSeconds(BigDecimal.valueOf(wait))
                .build());
    }

    private static void problem(MessagesApi api) throws Exception {
        try {
            api.getMessage(MessagesApi.APIGetMessageRequest.newBuilder().trackingId("nothing").build());
        } catch (ApiException error) {
            Problem problem = JSON.getDefault().getMapper().readValue(error.getResponseBody(), Problem.class);
            told.put("problem", problem.getType().toString());
        }
    }
}
