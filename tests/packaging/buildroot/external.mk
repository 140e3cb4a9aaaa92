include $(sort $(wildcard $(BR2_EXTERNAL_VM_ANON_NAME_PATH)/package/*/*.mk))
