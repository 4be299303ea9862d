// Uses the client that oapi-codegen made, and prints what it was told as one line of JSON.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"sort"

	receiver "example.com/acme/backend/receiver-client"
)

var ctx = context.Background()

func main() {
	client, err := receiver.NewClientWithResponses(
		os.Getenv("RECEIVER_URL"),
		receiver.WithRequestEditorFn(func(_ context.Context, request *http.Request) error {
			request.Header.Set("Authorization", "Bearer "+os.Getenv("RECEIVER_KEY"))
			return nil
		}),
	)
	check(err)
	told := map[string]any{}
	campaign := launch(client, told)
	lookUp(client, told)
	status(client, campaign, told)
	list(client, campaign, told)
	follow(client, told)
	missing, err := client.GetMessageWithResponse(ctx, "nothing", nil)
	check(err)
	told["problem"] = missing.ApplicationproblemJSON404.Type
	line, err := json.Marshal(told)
	check(err)
	fmt.Println(string(line))
}

// launch has a campaign sent, and keeps its cost as the exact text that it is.
func launch(client *receiver.ClientWithResponses, told map[string]any) string {
	text := "Our spring collection is here."
	answer, err := client.LaunchCampaignWithResponse(ctx, nil, receiver.CampaignRequest{
		SenderInfoTrackingId: "sender-1",
		To:                   &[]string{"+306945000001", "+306945000002"},
		Body:                 receiver.CampaignBody{Text: &text},
	})
	check(err)
	var cost string = *answer.JSON201.Cost
	told["submission"], told["cost"] = answer.JSON201.Submission, cost
	return answer.JSON201.Id.String()
}

func lookUp(client *receiver.ClientWithResponses, told map[string]any) {
	wanted := receiver.Lookup{TrackingIds: []string{os.Getenv("MESSAGE_ID"), "nothing"}}
	answer, err := client.LookUpMessagesWithResponse(ctx, nil, wanted)
	check(err)
	found := []string{}
	for _, message := range answer.JSON200.Items {
		found = append(found, message.TrackingId)
	}
	told["found"], told["notFound"] = found, answer.JSON200.NotFound
	told["price"] = *answer.JSON200.Items[0].Price
}

func status(client *receiver.ClientWithResponses, campaign string, told map[string]any) {
	answer, err := client.GetStatusWithResponse(ctx, os.Getenv("MESSAGE_ID"), nil)
	check(err)
	message, err := answer.JSON200.AsMessageStatus()
	check(err)
	told["messageStatus"] = message.Status
	answer, err = client.GetStatusWithResponse(ctx, campaign, nil)
	check(err)
	launched, err := answer.JSON200.AsCampaignStatus()
	check(err)
	told["campaignState"] = *launched.State
}

func list(client *receiver.ClientWithResponses, campaign string, told map[string]any) {
	messages, err := client.ListCampaignMessagesWithResponse(ctx, campaign, nil)
	check(err)
	listed := []string{}
	for _, message := range messages.JSON200.Items {
		listed = append(listed, string(message.Status))
	}
	told["listed"] = listed
	limit := 1
	campaigns, err := client.ListCampaignsWithResponse(ctx, &receiver.ListCampaignsParams{Limit: &limit})
	check(err)
	told["campaigns"] = len(campaigns.JSON200.Items)
}

// follow reads the feed to its end, and then waits for one more item.
func follow(client *receiver.ClientWithResponses, told map[string]any) {
	types := map[string]bool{}
	cursor := "beginning"
	for {
		page := page(client, cursor, 0)
		cursor = page.NextCursor
		for _, item := range page.Items {
			types[item.Type] = true
		}
		if len(page.Items) < 100 {
			break
		}
	}
	names := []string{}
	for name := range types {
		names = append(names, name)
	}
	sort.Strings(names)
	told["types"] = names
	for told["awaited"] == nil {
		page := page(client, cursor, 20)
		cursor = page.NextCursor
		if len(page.Items) > 0 {
			told["awaited"] = page.Items[0].Type
		}
	}
}

func page(client *receiver.ClientWithResponses, after string, wait float32) *receiver.FeedPage {
	answer, err := client.ListEventsWithResponse(ctx, &receiver.ListEventsParams{After: &after, Wait: &wait})
	check(err)
	return answer.JSON200
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
